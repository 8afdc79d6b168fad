"""Scalars as TensorBoard events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    SCALARS,
    EventAccumulator,
    ScalarEvent,
)
from torch.utils.tensorboard import SummaryWriter

from rslcore.context import Context
from rslcore.run.session import IterationRecord, RunSession
from rslcore_loggers.config import TensorboardConfig

BY_TIME = ("Train/mean_reward", "Train/mean_episode_length")
"""Metrics that are written against the seconds of training too, as `<metric>/time`."""


class TensorboardLogger:
    """Writes every metric against the iteration, and what episodes were like against the seconds of training too.

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
        first = session.iteration + 1
        by_time = _written_by_time(folder, int(session.elapsed)) if session.iteration else {}
        # What a crashed run logged beyond the checkpoint that it resumes from is hidden. So is what was written against
        # later seconds than the number of that iteration: this is written once more.
        self._writer = SummaryWriter(str(folder), flush_secs=self._flush_interval, purge_step=first)
        for tag, events in by_time.items():
            for event in events:
                if event.step >= first:
                    self._writer.add_scalar(tag, event.value, event.step, walltime=event.wall_time)

    def log(self, record: IterationRecord) -> None:
        """Write the metrics of an iteration, if it is one of those that are written."""
        assert self._writer is not None
        is_last = record.iteration == record.total_iterations
        if record.iteration % stride(record.iteration, self._dense_iterations) and not is_last:
            return
        for name, value in record.metrics.items():
            self._writer.add_scalar(name, value, record.iteration)
        self._writer.add_scalar("Perf/total_steps", record.total_steps, record.iteration)
        for name in BY_TIME:
            if name in record.metrics:
                self._writer.add_scalar(f"{name}/time", record.metrics[name], int(record.elapsed))

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


def _written_by_time(folder: Path, last_second: int) -> dict[str, list[ScalarEvent]]:
    """What was written against seconds, up to one of them; of each second and of what was written twice the latest."""
    accumulator = EventAccumulator(str(folder), size_guidance={SCALARS: 0}, purge_orphaned_data=False)
    accumulator.Reload()
    written: dict[str, list[ScalarEvent]] = {}
    for tag in {f"{name}/time" for name in BY_TIME} & set(accumulator.Tags()[SCALARS]):
        events: list[ScalarEvent] = []
        for event in accumulator.Scalars(tag):
            while events and events[-1].step >= event.step:
                events.pop()
            events.append(event)
        written[tag] = [event for event in events if event.step <= last_second]
    return written
