"""Scalars as TensorBoard events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from rslcore.context import Context
from rslcore.run.session import IterationRecord, RunSession
from rslcore_loggers.config import TensorboardConfig


class TensorboardLogger:
    """Writes every metric against the iteration.

    Args:
        config: The options.
        context: Not used.
    """

    def __init__(self, config: TensorboardConfig, context: Context) -> None:
        self._flush_interval = config.flush_interval
        self._dense_iterations = config.dense_iterations
        self._writer: SummaryWriter | None = None

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the events are where the run is. But a run that goes on from a checkpoint needs all before it."""
        if self._writer is not None:
            self._writer.flush()
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""

    def start(self, session: RunSession) -> None:
        """Open an events file in the run's folder; a resumed run adds one, which TensorBoard joins to the others."""
        folder = session.folder.path
        # Files are read in the order of their names, which begin with the second that they were made in.
        while any(folder.glob(f"events.out.tfevents.{int(time.time())}.*")):
            time.sleep(0.05)
        # What a crashed run logged beyond the checkpoint that it resumes from is hidden.
        self._writer = SummaryWriter(str(folder), flush_secs=self._flush_interval, purge_step=session.iteration + 1)

    def log(self, record: IterationRecord) -> None:
        """Write the metrics of an iteration, if it is one of those that are written."""
        assert self._writer is not None
        is_last = record.iteration == record.total_iterations
        if record.iteration % stride(record.iteration, self._dense_iterations) and not is_last:
            return
        for name, value in record.metrics.items():
            self._writer.add_scalar(name, value, record.iteration)
        self._writer.add_scalar("Perf/total_steps", record.total_steps, record.iteration)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


def stride(iteration: int, dense_iterations: int) -> int:
    """One in how many iterations is written: 1 up to `dense_iterations`, 10 up to ten times as many, and so on."""
    step = 1
    while iteration > step * dense_iterations:
        step *= 10
    return step
