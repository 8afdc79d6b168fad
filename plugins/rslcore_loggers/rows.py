"""What loggers of tables share: the numbers of an iteration, and the file as a killed run has left it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rslcore.run.files import remove_left_behind
from rslcore.run.session import IterationRecord


def row_of(record: IterationRecord) -> dict[str, float]:
    """Iteration, seconds of training and env steps of the whole run, and every metric."""
    counts = {"iteration": record.iteration, "elapsed": record.elapsed, "Perf/total_steps": record.total_steps}
    return {**counts, **record.metrics}


def whole_lines(path: Path) -> Iterator[str]:
    """The lines of a file, with their ends. A last one that has none was not written whole: it is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line.decode(errors="replace")


def is_of_run(row: object, last_iteration: float) -> bool:
    """Whether what was read is a row of an iteration up to `last_iteration`."""
    iteration = row.get("iteration") if isinstance(row, dict) else None
    try:
        return iteration is not None and int(iteration) <= last_iteration
    except (TypeError, ValueError):
        return False


def clean(path: Path) -> None:
    """Delete the temporary files that killed processes have left of this file."""
    remove_left_behind(path.parent, re.compile(re.escape(path.name)))
