"""How the functions of an algorithm are run: as they are written, compiled, or replayed as a CUDA graph.

What is compiled is pure: what it computes follows from its arguments and the parameters of the modules in it, and it
changes nothing. So it may be tried, and where torch cannot compile it, run as it is written.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import ParamSpec, TypeVar

import attrs
import torch

from rslcore.batch import Batch
from rslcore.config import Execution
from rslcore.context import Context
from rslcore.errors import RunError

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)

MIN_SECONDS = 100.0
"""How long a run learns, about, from which on `auto` compiles: a shorter one would not make up for compiling."""


@attrs.frozen
class Workload:
    """What a run learns from, and how much.

    Attributes:
        num_updates: Steps of the optimizer in an iteration.
        num_rows: Rows of a minibatch.
        num_parameters: That are trained.
        in_parts: Whether gradients of minibatches are made in parts, and added up.
        obstacle: Why there is nothing to be gained or something to be lost by compiling; empty if there is not.
    """

    num_updates: int
    num_rows: int
    num_parameters: int
    in_parts: bool = False
    obstacle: str = ""

    @property
    def seconds(self) -> float:
        """About what an iteration takes on a CPU core: the calls of a minibatch, and its products at 100 GFLOP/s."""
        return self.num_updates * (1e-3 + 6e-11 * self.num_rows * self.num_parameters)


def chosen_execution(execution: Execution, context: Context, workload: Workload) -> Execution:
    """What `auto` stands for; anything else as it is.

    Nothing is timed, so that a run that is resumed makes the same choice, and the same numbers.

    Raises:
        ConfigError: A CUDA graph is asked for on another device, or for minibatches in parts.
    """
    on_cuda = context.device.type == "cuda"
    if execution == "cuda_graph" and not on_cuda:
        raise context.error("execution", f"'cuda_graph' needs a GPU, and this run is on '{context.device}'; use 'auto'")
    if execution == "cuda_graph" and workload.in_parts:
        raise context.error(
            "micro_batch_size", "a CUDA graph writes over the gradients of the part before; use `execution: compile`"
        )
    if execution != "auto":
        return execution
    if context.config.iterations * workload.seconds < MIN_SECONDS:
        return "eager"
    if workload.obstacle:
        _log.info("execution: eager, since %s", workload.obstacle)
        return "eager"
    return "cuda_graph" if on_cuda and not workload.in_parts else "compile"


class Executor:
    """Runs functions in one of the modes.

    Args:
        execution: From the algorithm's config.
        context: The algorithm's.
        workload: What it is chosen for.

    Attributes:
        mode: What `auto` has chosen, or what the config says.

    Raises:
        ConfigError: The device cannot run in this mode.
    """

    def __init__(self, execution: Execution, context: Context, workload: Workload) -> None:
        self.mode = chosen_execution(execution, context, workload)
        self._falls_back = execution == "auto"

    def prepare_loss(self, loss: Callable[[Batch], R], name: str, sizes: Collection[int]) -> Callable[[Batch], R]:
        """The same for a function of a batch, compiled for some numbers of original rows.

        Those of other batches change from one to the next, and each would be compiled anew.
        """
        if self.mode == "eager":
            return loss
        runs = {size: self.prepare(loss, name) for size in sizes}
        has_said = False

        def run_batch(batch: Batch) -> R:
            nonlocal has_said
            if run := runs.get(batch.num_original):
                return run(batch)
            if not has_said:
                _log.warning("execution: %s also run as written, since numbers of rows change", name)
                has_said = True
            return loss(batch)

        return run_batch

    def prepare(self, function: Callable[P, R], name: str) -> Callable[P, R]:
        """The function, to be called in its place.

        Args:
            function: Pure; compiled when it is first called, and once more where shapes turn out to change.
            name: What it is called in messages, in the plural.

        Returns:
            Does the same. Under `auto`, where torch cannot compile it, it says so once and runs as it is written;
            otherwise it raises RunError then. What it returns lasts until its next call.
        """
        if self.mode == "eager":
            return function
        compiled: Callable[P, R] | None = None
        fails = False

        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal compiled, fails
            if fails:
                return function(*args, **kwargs)
            try:
                if compiled is not None:
                    return compiled(*args, **kwargs)
                with _compiling():
                    compiled = self._compiled(function)
                    return compiled(*args, **kwargs)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                result = function(*args, **kwargs)  # where the function itself is at fault, this raises its own error
                reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
                if not self._falls_back:
                    raise RunError(
                        f"execution: torch cannot compile {name} ({reason}); write `execution: auto`, which goes on "
                        "without, or `eager`"
                    ) from error
                _log.warning("execution: %s run as written, since torch cannot compile them (%s)", name, reason)
                fails = True
                return result

        return run

    def _compiled(self, function: Callable[P, R]) -> Callable[P, R]:
        if self.mode == "compile":
            return torch.compile(function)
        replayed: Callable[P, R] = torch.compile(function, mode="reduce-overhead")

        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            torch.compiler.cudagraph_mark_step_begin()
            return replayed(*args, **kwargs)

        return run


@contextlib.contextmanager
def _compiling() -> Iterator[None]:
    """While torch compiles: without its own warnings, going back as well as forward, and kept for the next run."""
    wanted = ("force_non_lazy_backward_lowering", "autograd_cache_allow_custom_autograd_functions")
    with warnings.catch_warnings(action="ignore"):
        from torch._functorch import config  # slow, and it warns

        with config.patch({name: True for name in wanted if hasattr(config, name)}):
            yield
