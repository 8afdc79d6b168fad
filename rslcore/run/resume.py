"""The run that is gone on with: found, and seen to fit."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import attrs

from rslcore.config import ExperimentConfig
from rslcore.distributed import num_ranks
from rslcore.errors import CheckpointError, RunError
from rslcore.registry import Registry
from rslcore.run.checkpoint import Checkpoint, load_checkpoint
from rslcore.run.compatibility import check_plugins
from rslcore.run.folder import BEST_FILE, RunFolder
from rslcore.run.launch import is_restarted
from rslcore.run.lock import RunLock
from rslcore.run.recovery import load_checkpoint_of

_log = logging.getLogger(__name__)


@attrs.define
class Resumed:
    """A run that is gone on with.

    Attributes:
        folder: Its folder.
        iteration: From which it goes on; 0 if it ended before its first checkpoint.
        file: Which the checkpoint is read from; None if there is none.
        checkpoint: From which it goes on, until that is loaded: it may be as large as all that is trained.
    """

    folder: RunFolder
    iteration: int = 0
    file: Path | None = None
    checkpoint: Checkpoint | None = None

    def for_each_rank(self) -> list[Resumed]:
        """The same for each of several ranks, with what it alone has and nothing of what others have."""
        if self.checkpoint is None:
            return [self] * num_ranks()
        return [attrs.evolve(self, checkpoint=self.checkpoint.for_rank(each)) for each in range(num_ranks())]


def check_resumed(path: Path, registry: Registry) -> None:
    """See whether the plugins of a run are here, where its config cannot be read.

    Raises:
        CheckpointError: They are not; says what to do.
        RunError: There is no such run.
    """
    if (file := _file_of(RunFolder.find_resumable(path), path)) is not None:
        check_plugins(load_checkpoint(file).history[-1], registry, f"'{file}'")


def find_resumed(
    resume: str | os.PathLike[str] | None,
    noted: Path | None,
    config: ExperimentConfig,
    registry: Registry,
    lock: RunLock,
) -> Resumed | None:
    """The run to go on with: the one that processes were training which are started again, or that is asked for.

    A run that ended before its first checkpoint begins again in its folder.

    Args:
        resume: A run's folder, or a checkpoint in it; None for a new run.
        noted: The folder of the run that the processes before these have trained, if there were any.
        config: Of the run from now on.
        registry: Of the installed plugins.
        lock: Taken before the checkpoint is read, so that it is the last one.

    Raises:
        RunError: There is no such run, it has all its iterations, or another process trains it.
        CheckpointError: Its checkpoint is damaged, or does not fit the config or the plugins.
    """
    if noted is not None:
        resume = noted
    if resume is None:
        if is_restarted():
            _log.warning("the processes were started again; they had not begun yet, so they begin a new run")
        return None
    path = Path(resume)
    folder = RunFolder.find_resumable(path)
    lock.take(folder.path)
    file = _file_of(folder, path)
    if file is None:
        _log.warning("the run '%s' has no checkpoint yet and begins again from its beginning", folder.path)
        return Resumed(folder)
    if noted is not None:
        _log.warning("the processes were started again, and go on from '%s'", file)
    checkpoint = load_checkpoint_of(folder, file, "rslcore train --resume")
    if checkpoint.iteration >= config.iterations and noted is None:  # those before may have died when all was done
        raise RunError(
            f"the run '{folder.path}' is at iteration {checkpoint.iteration} of {config.iterations} already; "
            f"to go on, raise the total, as in iterations={2 * checkpoint.iteration}"
        )
    misfits = [
        f"{kind} was '{checkpoint.config[kind]['name']}' and is '{getattr(config, kind).name}' now"
        for kind in ("algorithm", "policy", "runner")
        if checkpoint.config[kind]["name"] != getattr(config, kind).name
    ]
    if misfits:
        raise CheckpointError(f"the checkpoint does not fit this config: {', '.join(misfits)}")
    check_plugins(checkpoint.history[-1].among(config), registry, f"'{file}'")
    return Resumed(folder, checkpoint.iteration, file, checkpoint)


def set_aside_later(resumed: Resumed) -> list[Path]:
    """Rename the checkpoints after the one that a run goes on from, the best one among them; returns their paths."""
    best = resumed.folder.path / BEST_FILE
    try:
        best_iteration = load_checkpoint(best).iteration if best.is_file() else None
    except CheckpointError:
        best_iteration = None  # what cannot be read stays where it is
    return resumed.folder.set_aside_after(resumed.iteration, best_iteration)


def _file_of(folder: RunFolder, path: Path) -> Path | None:
    """The checkpoint that a path of a run means: itself, or the latest one; None if the run has none yet."""
    if path.suffix == ".pt":
        return path
    if folder.checkpoints():
        return folder.checkpoint()
    if (best := folder.path / BEST_FILE).exists():
        raise RunError(f"the run '{folder.path}' has no checkpoint but '{best}'; to go on from that, give its path")
    return None
