"""Several processes that train one policy, each with envs of its own: what they know of one another and do together.

A process is a *rank*. torchrun starts them and says in the environment which is which. With one process every function
here returns what it was given, at no cost. With several, each of them waits for all: a function that one rank calls,
every rank must call, in the same order.

Tensors travel through NCCL between GPUs and through gloo between CPUs; what lies on the host goes through gloo always.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as torch_distributed
from torch.nn.parallel import DistributedDataParallel

from rslcore.errors import LostRankError, RankError
from rslcore.meeting import meet

T = TypeVar("T")

_CHUNK = 4096
"""Rows of which a variance is summed at once."""

_ALONE = ContextVar("alone", default=False)


def num_ranks() -> int:
    """Number of processes that train together."""
    return torch_distributed.get_world_size() if _is_one_of_several() else 1


def rank() -> int:
    """Which of them this one is, counted from 0."""
    return torch_distributed.get_rank() if _is_one_of_several() else 0


def _is_one_of_several() -> bool:
    return torch_distributed.is_initialized() and not _ALONE.get()


def is_main() -> bool:
    """Whether this is the process that writes files and talks to loggers."""
    return rank() == 0


def launched_ranks() -> int:
    """Number of processes that torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Which process of this machine this one is, counted from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_ranks() -> int:
    """Number of processes that torchrun has started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Do something that the other ranks do not do, such as to load a policy: in the context there is one rank."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Be one of the processes that torchrun has started, while the context lasts; nothing if it has started one.

    Args:
        device: Of this process.

    Raises:
        RankError: The others are not there.
        LostRankError: While the context lasted, another one has ended.
    """
    if launched_ranks() == 1 or torch_distributed.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        store, own_rank, world_size = meet()
        torch_distributed.init_process_group(backend, store=store, rank=own_rank, world_size=world_size)
    except (RuntimeError, ValueError) as error:  # ValueError: the environment lacks a variable
        reason = str(error).strip().partition("\n")[0]
        raise RankError(f"the processes of this run cannot find one another: {reason}") from error
    with _lost_ranks_named():
        yield
    torch_distributed.destroy_process_group()


@contextlib.contextmanager
def _lost_ranks_named() -> Iterator[None]:
    """Say so where others have ended. What waits for them does it at once: it may be called by the code of a plugin."""
    this = rank()
    try:
        yield
    except RuntimeError as error:
        if _is_of_connection(error):
            raise LostRankError(f"rank {this} ends because another rank has ended") from error
        raise


def _is_of_connection(error: RuntimeError) -> bool:
    """Whether an error says that a message to or from another process was lost; torch has a type for NCCL's only."""
    texts = ("gloo", "Connection closed by peer", "Connection reset by peer")
    return isinstance(error, torch_distributed.DistError) or any(text in str(error) for text in texts)


# Tensors


@_lost_ranks_named()
def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of the tensors of all ranks, which have one shape."""
    if num_ranks() == 1:
        return tensor
    total = tensor.detach().clone(memory_format=torch.contiguous_format)  # on all ranks, however theirs lie in memory
    torch_distributed.all_reduce(total)
    return total


def mean_over_ranks(mean: Tensor, num_rows: int | Tensor) -> Tensor:
    """The mean over the rows of all ranks.

    Args:
        mean: Of the rows of this rank, a scalar.
        num_rows: Number of these rows.
    """
    if num_ranks() == 1:
        return mean
    rows = torch.as_tensor(num_rows, dtype=torch.float64, device=mean.device)
    total = sum_over_ranks(torch.stack([mean.detach() * rows, rows]))
    return (total[0] / total[1]).to(mean.dtype)


def row_weight(num_rows: int, device: torch.device) -> Tensor | float:
    """What a mean over the rows of this rank is to be multiplied with, so that the mean over ranks is one over rows."""
    if num_ranks() == 1:
        return 1.0
    rows = torch.tensor(float(num_rows), device=device)
    return rows * num_ranks() / sum_over_ranks(rows)


def merged_moments(rows: Tensor) -> tuple[Tensor | int, Tensor, Tensor]:
    """Number, mean and variance (of the population) of the rows `[B, ...]` of all ranks; zeros if there is none.

    Chan, Golub and LeVeque 1983. The sums travel in double precision, in which nothing is lost.
    """
    if num_ranks() == 1 and len(rows):
        mean = rows.mean(0)
        # Several times faster on a CPU than torch.var_mean, and a chunk at a time it stays in the cache.
        parts = rows.split(_CHUNK) if rows.device.type == "cpu" else [rows]
        squares = sum(((part - mean).square_().sum(0) for part in parts), torch.zeros_like(mean))
        return len(rows), mean, squares / len(rows)
    sums = rows.double()
    count = torch.full_like(sums[:1].sum(0), float(len(rows)))
    total = sum_over_ranks(torch.stack([count, sums.sum(0), sums.square().sum(0)]))
    num_rows = total[0].clamp(min=1.0)
    mean = total[1] / num_rows
    variance = (total[2] / num_rows - mean.square()).clamp_(min=0.0)
    return total[0].flatten()[0], mean.to(rows.dtype), variance.to(rows.dtype)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over ranks.

    For an optimizer that is stepped down a loss of its own. Losses that go through `Extension.losses` need it not. A
    gradient that is missing counts as zero: on another rank it may be there.
    """
    if num_ranks() == 1:
        return
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    flat = sum_over_ranks(torch.cat([gradient.reshape(-1) for gradient in gradients])) / num_ranks()
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@_lost_ranks_named()
def copy_from_main(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors by those of rank 0."""
    if num_ranks() > 1:
        for tensor in tensors:
            torch_distributed.broadcast(tensor.detach(), src=0)


@_lost_ranks_named()
def average_gradients_of(module: nn.Module) -> nn.Module:
    """A module that does the same, and whose gradients are averaged over ranks while they are computed."""
    if num_ranks() == 1:
        return module
    # Which parameters take part may differ from loss to loss.
    return DistributedDataParallel(module, find_unused_parameters=True)


# What lies on the host


@_lost_ranks_named()
def gather(value: T) -> list[T]:
    """The values of all ranks, in their order."""
    if num_ranks() == 1:
        return [value]
    values: list[Any] = [None] * num_ranks()
    torch_distributed.all_gather_object(values, value)
    return values


@_lost_ranks_named()
def gather_on_main(value: T) -> list[T]:
    """The same on rank 0, for what is large; the others get an empty list."""
    if num_ranks() == 1:
        return [value]
    values: list[Any] | None = [None] * num_ranks() if is_main() else None
    torch_distributed.gather_object(value, values)
    return values or []


@_lost_ranks_named()
def each_from_main(values: list[T]) -> T:
    """The value that rank 0 has for this rank; what others give counts for nothing."""
    if num_ranks() == 1:
        return values[0]
    received: list[Any] = [None]
    torch_distributed.scatter_object_list(received, list(values) if is_main() else None, src=0)
    result: T = received[0]
    return result


@_lost_ranks_named()
def from_main(value: T) -> T:
    """The value that rank 0 has."""
    if num_ranks() == 1:
        return value
    values: list[Any] = [value]
    torch_distributed.broadcast_object_list(values, src=0)
    result: T = values[0]
    return result
