"""How often a call waits for a number: the host reads that make a GPU idle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.profiler import ExecutionTraceObserver, record_function
from torch.utils.weak import WeakIdKeyDictionary

READ, ON_HOST = "rslcore::read", "rslcore::on_host"

WAITING_OPERATORS = frozenset(
    {
        READ,
        "aten::_local_scalar_dense",
        "aten::_unique2",
        "aten::bincount",
        "aten::equal",
        "aten::masked_select",
        "aten::nonzero",
        "aten::unique_consecutive",
        "aten::unique_dim",
        "aten::unique_dim_consecutive",
    }
)
"""What a GPU is waited for: a number, or how many rows a result has."""

COPYING_METHODS = (Tensor.cpu, Tensor.numpy, Tensor.tolist, Tensor.__array__)
"""Methods that copy a tensor to the host; on a CPU they run no operator that tells of it."""


def count_host_reads(function: Callable[[], object]) -> int:
    """How often a call reads a tensor on the host.

    Counted are numbers (`.item()`, `float(tensor)`, `if tensor:`), copies (`.tolist()`, `.cpu()`, `.numpy()`,
    `.to("cpu")`) and shapes that depend on values (`x[flags]`, `nonzero`, `unique`), those inside of operators too.
    A read is counted once: what is done with the copy that `.cpu()` made is no further one. It works on a CPU: what is
    counted there would wait on a GPU, or, as `.numpy()` without `.cpu()`, fail on it. A tensor that is made on the CPU
    on purpose cannot be told from others there, so that reading it counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        observer = ExecutionTraceObserver().register_callback(str(trace))
        observer.start()
        try:
            with _MarkReads():
                function()
        finally:
            observer.stop()
            observer.unregister_callback()
        nodes = json.loads(trace.read_text(), object_hook=_keep_of_a_node)
    parents = {node: (name, above) for node, name, above in nodes}
    counted = WAITING_OPERATORS | {ON_HOST}
    return sum(name in WAITING_OPERATORS and counted.isdisjoint(_names_above(node, parents)) for node, name, _ in nodes)


def _keep_of_a_node(read: dict[str, Any]) -> Any:
    """Of an object of a trace, the nodes of all, or what is wanted of a node. The rest is a thousand times as much."""
    if "ctrl_deps" in read:
        return read["id"], read["name"], read["ctrl_deps"]
    return read.get("nodes")


def _names_above(node: int, parents: Mapping[int, tuple[str, int]]) -> Iterator[str]:
    """The names of the nodes that a node of a trace stands in."""
    above = parents[node][1]
    while above in parents and above != node:
        yield parents[above][0]
        node, above = above, parents[above][1]


class _MarkReads(TorchFunctionMode):
    """Writes into the trace which calls copy a tensor to the host, and which work on such copies alone.

    On a CPU, a tensor on the host looks like any other. What was copied there, and what is made of such copies alone,
    is on the host; a move to a device ends that.
    """

    def __init__(self) -> None:
        super().__init__()
        self._on_host: Any = WeakIdKeyDictionary()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the function as it is, under a name in the trace where it matters."""
        kwargs = kwargs or {}
        tensors = list(_tensors([*args, *kwargs.values()]))
        targets = [value for value in (*args[1:], kwargs.get("device")) if isinstance(value, str)]
        is_copy = func in COPYING_METHODS or (func is Tensor.to and "cpu" in targets)
        moves = func in (Tensor.to, Tensor.cuda) or kwargs.get("device") is not None
        of_host = bool(tensors) and all(tensor in self._on_host for tensor in tensors)
        if of_host:
            with record_function(ON_HOST):
                result = func(*args, **kwargs)
        elif is_copy:
            with record_function(READ):
                result = func(*args, **kwargs)
        else:
            result = func(*args, **kwargs)
        if isinstance(result, Tensor) and (is_copy or moves) and any(result is tensor for tensor in tensors):
            result = result.view_as(result)  # on another device, it would be another tensor
        if is_copy or (of_host and not moves):
            for tensor in _tensors([result]):
                if isinstance(tensor, Tensor):
                    self._on_host[tensor] = True
        return result


def _tensors(values: Iterable[Any]) -> Iterator[Any]:
    """The tensors, and what behaves like one, among arguments."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _tensors(value)
        elif hasattr(type(value), "__torch_function__"):
            yield value
