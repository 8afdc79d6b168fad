"""How often a call waits for a number: the host reads that make a GPU idle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path


def count_host_reads(function: Callable[[], object]) -> int:
    """Number of scalars that a call reads from tensors (`.item()`, `float(tensor)`, `if tensor:`, ...).

    Those inside of operators are counted too. It works on a CPU: what is counted there would wait on a GPU.
    """
    from torch.profiler import ExecutionTraceObserver

    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        observer = ExecutionTraceObserver().register_callback(str(trace))
        observer.start()
        try:
            function()
        finally:
            observer.stop()
            observer.unregister_callback()
        nodes = json.loads(trace.read_text())["nodes"]
    return sum(node["name"] == "aten::_local_scalar_dense" for node in nodes)
