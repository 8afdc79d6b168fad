"""Which checkpoints of a run are on disk: written, the best one marked, old ones deleted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from rslcore.config import ExperimentConfig
from rslcore.errors import CheckpointError, listed, nearest
from rslcore.run.checkpoint import Checkpoint, save_checkpoint
from rslcore.run.folder import RunFolder

_log = logging.getLogger(__name__)


class CheckpointKeeper:
    """Writes the checkpoints of a run.

    Args:
        config: Says how many are kept, and by which metric one is the best.
        best: The best value of that metric so far, from the checkpoint that a run is resumed from.

    Attributes:
        unsaved: Why the latest checkpoint could not be written; None if it was.
    """

    def __init__(self, config: ExperimentConfig, best: float | None = None) -> None:
        self._config = config
        self.best = best
        self.unsaved: CheckpointError | None = None

    def best_with(self, metrics: Mapping[str, float]) -> float | None:
        """The best value of the metric, these metrics included; None if there is none yet. Lower ones are negated."""
        name = self._config.best_metric
        if name is None or name not in metrics:
            return self.best
        value = metrics[name] if self._config.best_is == "highest" else -metrics[name]
        return value if self.best is None else max(value, self.best)

    def write(self, folder: RunFolder, checkpoint: Checkpoint, best: float | None) -> Path | None:
        """Write a checkpoint, then delete those that are not kept.

        Args:
            folder: The run's.
            checkpoint: To be written.
            best: From `best_with`; where it is another value than before, the checkpoint is the best one.

        Returns:
            Its path; None, after a warning, if it cannot be written.
        """
        path = folder.checkpoint_path(checkpoint.iteration)
        try:
            save_checkpoint(path, checkpoint)
        except CheckpointError as error:
            self.unsaved = error
            last = next(reversed(folder.checkpoints().values()), None)
            advice = f"the last checkpoint is '{last}'" if last else "without a checkpoint so far"
            _log.warning("%s; the run goes on, %s", error, advice)
            return None
        self.unsaved = None
        if best != self.best:
            self._mark_best(folder, path)
            self.best = best
        if self._config.keep_checkpoints is not None:
            folder.keep(self._config.keep_checkpoints)
        return path

    def _mark_best(self, folder: RunFolder, path: Path) -> None:
        try:
            folder.mark_best(path)
        except CheckpointError as error:
            _log.warning("%s; the run goes on", error)

    def check_metric(self, metrics: Mapping[str, float]) -> None:
        """Warn if the metric that `best_metric` names was not logged, at the end of a run."""
        name = self._config.best_metric
        if name is not None and name not in metrics:
            _log.warning(
                "best_metric: no metric '%s' was logged%s (logged: %s)", name, nearest(name, metrics), listed(metrics)
            )
