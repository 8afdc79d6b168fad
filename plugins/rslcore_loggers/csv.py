"""Metrics as comma-separated values: a row an iteration, a column a metric."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rslcore.context import Context
from rslcore.run.files import write_atomically
from rslcore.run.session import IterationRecord, RunSession
from rslcore_loggers.config import CsvConfig
from rslcore_loggers.rows import clean, is_of_run, row_of, whole_lines

FILE = "metrics.csv"


class CsvLogger:
    """Adds a row to `metrics.csv` in every iteration. Where a metric appears for the first time, as the mean return
    does once an episode has ended, the file is written anew with one more column, which earlier rows leave empty.

    Args:
        config: No options.
        context: Not used.
    """

    def __init__(self, config: CsvConfig, context: Context) -> None:
        self._path: Path | None = None
        self._columns: list[str] = []

    def start(self, session: RunSession) -> None:
        """Leave out what a run before this one has written beyond the iteration that this one goes on from."""
        self._path = path = session.folder.path / FILE
        clean(path)
        if path.exists():
            self._columns = list(csv.DictReader(whole_lines(path)).fieldnames or ())
            self._rewrite(session.iteration)

    def log(self, record: IterationRecord) -> None:
        """Write a row."""
        assert self._path is not None
        row = row_of(record)
        if new := [name for name in row if name not in self._columns]:
            self._columns += new
            self._rewrite()
        with self._path.open("a", encoding="utf-8", newline="") as file:
            self._writer(file).writerow(row)

    def close(self) -> None:
        """Nothing to close."""

    def _rewrite(self, last_iteration: float = math.inf) -> None:
        """Write the rows up to an iteration under the columns of now."""
        assert self._path is not None
        path = self._path

        def write(file: BinaryIO) -> None:
            text = io.TextIOWrapper(file, "utf-8", newline="")
            writer = self._writer(text)
            writer.writeheader()
            writer.writerows(_rows(path, last_iteration))
            text.detach()

        write_atomically(path, write)

    def _writer(self, file: Any) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, restval="", lineterminator="\n")


def _rows(path: Path, last_iteration: float) -> Iterator[dict[str, str]]:
    if not path.exists():
        return
    for row in csv.DictReader(whole_lines(path)):
        is_whole = None not in row and None not in row.values()
        if is_whole and is_of_run(row, last_iteration):
            yield row
