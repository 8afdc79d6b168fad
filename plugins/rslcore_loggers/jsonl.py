"""Metrics as JSON lines: an object an iteration."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from rslcore.context import Context
from rslcore.run.files import write_atomically
from rslcore.run.session import IterationRecord, RunSession
from rslcore_loggers.config import JsonlConfig
from rslcore_loggers.rows import clean, is_of_run, row_of, whole_lines

FILE = "metrics.jsonl"


class JsonlLogger:
    """Adds a line to `metrics.jsonl` in every iteration. A number that is not finite is null: JSON has none.

    The file is opened for each line, so that a line is there, and whole, as soon as it is written, and a folder that is
    gone is noticed.

    Args:
        config: No options.
        context: Not used.
    """

    def __init__(self, config: JsonlConfig, context: Context) -> None:
        self._path: Path | None = None

    def start(self, session: RunSession) -> None:
        """Leave out what a run before this one has written beyond the iteration that this one goes on from."""
        self._path = path = session.folder.path / FILE
        clean(path)
        if path.exists():
            write_atomically(path, lambda file: file.writelines(_lines(path, session.iteration)))

    def log(self, record: IterationRecord) -> None:
        """Write a line."""
        assert self._path is not None
        row = {name: value if math.isfinite(value) else None for name, value in row_of(record).items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")

    def close(self) -> None:
        """Nothing to close."""


def _lines(path: Path, last_iteration: int) -> Iterator[bytes]:
    for line in whole_lines(path):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if is_of_run(row, last_iteration):
            yield line.encode()
