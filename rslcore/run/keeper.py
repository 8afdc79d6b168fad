"""Which checkpoints of a run are on disk: written, the best one marked, old ones deleted."""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import attrs

from rslcore.config import ExperimentConfig
from rslcore.errors import CheckpointError, listed, nearest
from rslcore.run.checkpoint import Checkpoint, save_checkpoint
from rslcore.run.folder import RunFolder

_log = logging.getLogger(__name__)


@attrs.frozen
class Best:
    """Where a run was best so far.

    Attributes:
        value: Of the metric; negated where the lowest is the best.
        iteration: Of the checkpoint.
    """

    value: float
    iteration: int


@attrs.frozen
class _Unsaved:
    checkpoint: Checkpoint
    error: CheckpointError


class Keeper(Protocol):
    """Decides when a run is saved, and saves it: `CheckpointKeeper`, or what a program has in its place."""

    def restore(self, checkpoint: Checkpoint) -> None:
        """The run goes on from a checkpoint."""

    def start(self, folder: RunFolder) -> None:
        """The run begins, in this folder."""

    def is_due(self, iteration: int, interval: int) -> bool:
        """Whether a checkpoint is to be written after this iteration, if it is not the last one, which always is.

        Args:
            iteration: Number of iterations done.
            interval: Iterations between two checkpoints, as the run's config has it.
        """

    def best_with(self, iteration: int, metrics: Mapping[str, float]) -> Best | None:
        """Where the run was best, an iteration with these metrics included; None if that is not known."""

    def write(self, checkpoint: Checkpoint, best: Best | None) -> Path | None:
        """Write a checkpoint; its path, or None if it was not written. Does not raise where it cannot be."""

    def finish(self) -> None:
        """The run has ended well. Raises CheckpointError if what it has learned last is not saved."""


class CheckpointKeeper:
    """Writes the checkpoints of a run. One that cannot be written does not end the run; the next one may be.

    Args:
        config: Says how many are kept, and by which metric one is the best.
    """

    def __init__(self, config: ExperimentConfig) -> None:
        self._config = config
        self._best: Best | None = None
        self._resumed_iteration: int | None = None
        self._folder: RunFolder | None = None
        self._latest_unsaved: _Unsaved | None = None
        self._is_metric_missed = False

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint, whose best value counts if it is of the same metric."""
        self._resumed_iteration = checkpoint.iteration
        best, config = checkpoint.progress.get("best"), self._config
        if best and all(checkpoint.config[key] == getattr(config, key) for key in ("best_metric", "best_is")):
            self._best = Best(**best)

    def start(self, folder: RunFolder) -> None:
        """Write into this folder from now on. A process that was killed may have written the best one and not said so.

        Args:
            folder: The run's.
        """
        self._folder = folder
        if self._best is not None and self._best.iteration == self._resumed_iteration:
            path = folder.checkpoint_path(self._best.iteration)
            if path.is_file():
                self._mark_best(path)

    def is_due(self, iteration: int, interval: int) -> bool:
        """After every `interval` iterations."""
        return iteration % interval == 0

    def best_with(self, iteration: int, metrics: Mapping[str, float]) -> Best | None:
        """Where the run was best, an iteration with these metrics included; None if that is not known yet."""
        name = self._config.best_metric
        if name is None:
            return None
        if name not in metrics:
            self._miss_metric(name, metrics)
            return self._best
        value = metrics[name] if self._config.best_is == "highest" else -metrics[name]
        is_best = math.isfinite(value) and (self._best is None or value > self._best.value)
        return Best(value, iteration) if is_best else self._best

    def _miss_metric(self, name: str, metrics: Mapping[str, float]) -> None:
        if self._best is None and not self._is_metric_missed:
            _log.warning(
                "best_metric: no metric '%s' was logged so far%s (logged: %s)",
                name,
                nearest(name, metrics),
                listed(metrics),
            )
            self._is_metric_missed = True

    def write(self, checkpoint: Checkpoint, best: Best | None) -> Path | None:
        """Write a checkpoint, mark it if it is the best one, and then delete those that are not kept.

        Args:
            checkpoint: To be written.
            best: From `best_with`.

        Returns:
            Its path; None if it cannot be written, of which the first one in a row is warned about.
        """
        assert self._folder is not None, "a run has a folder when it saves"
        path = self._folder.checkpoint_path(checkpoint.iteration)
        try:
            save_checkpoint(path, checkpoint)
        except CheckpointError as error:
            if self._latest_unsaved is None:
                last = next(reversed(self._folder.checkpoints().values()), None)
                advice = f"the last checkpoint is '{last}'" if last else "there is no checkpoint yet"
                _log.warning("%s; the run goes on and tries again with the next one; %s", error, advice)
            self._latest_unsaved = _Unsaved(checkpoint, error)
            return None
        if self._latest_unsaved is not None:
            _log.warning("checkpoints can be written again, the first one is '%s'", path)
            self._latest_unsaved = None
        if best != self._best and self._mark_best(path):
            self._best = best
        if self._config.keep_checkpoints is not None:
            self._folder.keep(self._config.keep_checkpoints)
        return path

    def _mark_best(self, path: Path) -> bool:
        assert self._folder is not None
        try:
            self._folder.mark_best(path)
            return True
        except CheckpointError as error:
            _log.warning("%s; the run goes on", error)
            return False

    def finish(self) -> None:
        """To be called when the run ends.

        Raises:
            CheckpointError: The last checkpoint could not be written where it belongs; says where it lies instead.
        """
        if self._latest_unsaved is None:
            return
        checkpoint, error = self._latest_unsaved.checkpoint, self._latest_unsaved.error
        assert self._folder is not None
        elsewhere = _save_elsewhere(self._folder.checkpoint_path(checkpoint.iteration).name, checkpoint)
        if elsewhere is None:
            raise error
        raise CheckpointError(
            f"{error}; it was saved as '{elsewhere}' instead: make room and move it to '{self._folder.path}'"
        ) from error


def _save_elsewhere(name: str, checkpoint: Checkpoint) -> Path | None:
    """Write a checkpoint into a new folder for temporary files; None if that cannot be done either."""
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="rslcore_"))
        save_checkpoint(folder / name, checkpoint)
        return folder / name
    except (OSError, CheckpointError):
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.rmdir()
        return None
