"""Scalars as TensorBoard events."""

from __future__ import annotations

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
        self._writer: SummaryWriter | None = None

    def start(self, session: RunSession) -> None:
        """Open an events file in the run's folder; a resumed run adds one, which TensorBoard joins to the others."""
        # What a crashed run logged beyond the checkpoint that it resumes from is hidden.
        purge_step = session.iteration + 1 if session.iteration else None
        self._writer = SummaryWriter(str(session.folder.path), flush_secs=self._flush_interval, purge_step=purge_step)

    def log(self, record: IterationRecord) -> None:
        """Write the metrics of an iteration."""
        assert self._writer is not None
        for name, value in record.metrics.items():
            self._writer.add_scalar(name, value, record.iteration)
        self._writer.add_scalar("Perf/total_steps", record.total_steps, record.iteration)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
