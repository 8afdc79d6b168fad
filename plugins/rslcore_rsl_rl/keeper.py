"""Saves a run through its runner's `save`, which a script may have overridden, when rsl_rl would."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from rslcore.errors import CheckpointError, RslcoreError
from rslcore.run.checkpoint import Checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.keeper import Best

_log = logging.getLogger(__name__)


class RunnerKeeper:
    """rsl_rl saves after its first iteration, then every `save_interval`, and at the end, as `model_<index>.pt`, where
    the index of the first iteration is 0. A checkpoint that cannot be written does not end the run.

    Args:
        save: The runner's, given a path.

    Attributes:
        checkpoint: What is to be saved, while `save` is called; None otherwise.
    """

    def __init__(self, save: Callable[[str], None]) -> None:
        self.checkpoint: Checkpoint | None = None
        self._save = save
        self._folder: RunFolder | None = None
        self._unsaved: RslcoreError | None = None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Nothing is kept of checkpoints before."""

    def start(self, folder: RunFolder) -> None:
        """Write into this folder from now on."""
        self._folder = folder

    def is_due(self, iteration: int, interval: int) -> bool:
        """After the first iteration, and then after every `interval` ones."""
        return (iteration - 1) % interval == 0

    def best_with(self, iteration: int, metrics: Mapping[str, float]) -> Best | None:
        """rsl_rl marks no best checkpoint."""
        return None

    def write(self, checkpoint: Checkpoint, best: Best | None) -> Path | None:
        """Let the runner save; None where there is no folder, or it cannot be written."""
        if self._folder is None:
            return None
        path = self._folder.checkpoint_path(checkpoint.iteration - 1)
        self.checkpoint = checkpoint
        try:
            self._save(str(path))
        except (RslcoreError, OSError) as given:
            error = (
                given if isinstance(given, RslcoreError) else CheckpointError(f"'{path}' cannot be written: {given}")
            )
            if self._unsaved is None:
                _log.warning("%s; the run goes on and tries again with the next one", error)
            self._unsaved = error
            return None
        finally:
            self.checkpoint = None
        self._unsaved = None
        return path

    def finish(self) -> None:
        """Raises what has kept the last checkpoint from being saved."""
        if self._unsaved is not None:
            raise self._unsaved
