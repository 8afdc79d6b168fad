"""Which checkpoints of a run are on disk: written, the best one marked, old ones deleted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from rslcore.config import ExperimentConfig
from rslcore.errors import CheckpointError, RunError, listed, nearest
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

    def note(self, metrics: Mapping[str, float]) -> bool:
        """Whether the checkpoint that is about to be written is the best so far."""
        name = self._config.best_metric
        if name is None or name not in metrics:
            return False
        value = metrics[name] if self._config.best_is == "highest" else -metrics[name]
        if self.best is not None and value <= self.best:
            return False
        self.best = value
        return True

    def write(self, folder: RunFolder, checkpoint: Checkpoint, is_best: bool) -> Path | None:
        """Write a checkpoint, then delete those that are not kept; None, and a warning, if it cannot be written."""
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
        if is_best:
            try:
                folder.mark_best(path)
            except RunError as error:
                _log.warning("%s", error)
        if self._config.keep_checkpoints is not None:
            folder.keep(self._config.keep_checkpoints)
        return path

    def check_metric(self, metrics: Mapping[str, float]) -> None:
        """Warn if the metric that `best_metric` names was not logged, at the end of a run."""
        name = self._config.best_metric
        if name is not None and name not in metrics:
            _log.warning(
                "best_metric: no metric '%s' was logged%s (logged: %s)", name, nearest(name, metrics), listed(metrics)
            )
