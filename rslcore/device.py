"""Which device a run is on, and how many cores of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from rslcore.config import Precision
from rslcore.distributed import launched_ranks, local_rank, local_ranks
from rslcore.errors import DeviceError

if TYPE_CHECKING:
    from rslcore.context import Context


def resolve_device(name: str) -> torch.device:
    """The device that a config names.

    Args:
        name: `auto` (CUDA where it is there, else the CPU), or a torch device such as `cpu`, `cuda`, `cuda:1`. With
            several ranks, `auto` and `cuda` give each of a machine's ranks a GPU of its own.

    Raises:
        DeviceError: There is no such device; says which there are. Or ranks would share one.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if launched_ranks() > 1 and name.startswith("cuda") and torch.cuda.device_count():
        name = _device_of_rank(name)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"device: '{name}' is no device; use one of {_available()}") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device: '{name}' is not there; this machine has {_available()}")
    if device.type == "cpu" and device.index:
        raise DeviceError(f"device: '{name}' is not there; all cores together are 'cpu', num_threads says how many")
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device: '{name}' is not supported; use one of {_available()}")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else torch.device("cpu")


@contextlib.contextmanager
def limited_threads(num_threads: int | None) -> Iterator[None]:
    """Let torch use this many CPU threads in this process while the context lasts; None leaves it as it is."""
    before = torch.get_num_threads()
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """The context in which networks are run in this precision; `tf32` is a matter of `products`."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


def products(precision: Precision) -> contextlib.AbstractContextManager[object]:
    """The context in which a GPU makes the products of float32 matrices, of gradients too, in this precision."""
    return _tf32() if precision == "tf32" else contextlib.nullcontext()


def check_precision(context: Context, precision: Precision) -> None:
    """Raises ConfigError if the device of a component has no such precision, as its field `precision` says."""
    if precision == "tf32" and context.device.type != "cuda":
        raise context.error(
            "precision", f"'tf32' needs a GPU, and this run is on '{context.device}'; use 'bf16' or 'fp32'"
        )


@contextlib.contextmanager
def _tf32() -> Iterator[None]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = True
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _device_of_rank(name: str) -> str:
    """The GPU of this rank: that with its number among the ranks of this machine."""
    ranks, gpus, own = local_ranks(), torch.cuda.device_count(), f"cuda:{local_rank()}"
    if ranks > gpus:
        raise DeviceError(
            f"device: {ranks} ranks were started on this machine, which has {gpus} GPUs, and each needs one of its "
            f"own; write --nproc-per-node {gpus}, or device=cpu"
        )
    if name not in ("cuda", own):
        raise DeviceError(f"device: '{name}' is not the GPU of LOCAL_RANK {local_rank()}; write cuda, which is {own}")
    return own


def _available() -> str:
    return ", ".join(["'auto'", "'cpu'", *(f"'cuda:{index}'" for index in range(torch.cuda.device_count()))])
