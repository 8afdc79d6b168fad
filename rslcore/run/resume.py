"""The run that is gone on with: found, and seen to fit."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import attrs

from rslcore.config import ExperimentConfig
from rslcore.errors import CheckpointError, RunError
from rslcore.registry import Registry
from rslcore.run.checkpoint import Checkpoint, load_checkpoint
from rslcore.run.compatibility import check_plugins
from rslcore.run.folder import RunFolder
from rslcore.run.launch import is_restarted, noted_run
from rslcore.run.recovery import load_checkpoint_of

_log = logging.getLogger(__name__)


@attrs.frozen
class Resumed:
    """A run, and the checkpoint that it is gone on with from."""

    folder: RunFolder
    checkpoint: Checkpoint


def check_resumed(path: Path, registry: Registry) -> None:
    """See whether the plugins of a run are here, where its config cannot be read.

    Raises:
        CheckpointError: They are not; says what to do.
        RunError: There is no such run.
    """
    file = _find_file(path)
    check_plugins(load_checkpoint(file).history[-1], registry, f"'{file}'")


def find_resumed(resume: str | os.PathLike[str] | None, config: ExperimentConfig, registry: Registry) -> Resumed | None:
    """The run to go on with: the one that processes were training which are started again, or that is asked for.

    Args:
        resume: A run's folder, or a checkpoint in it; None for a new run.
        config: Of the run from now on.
        registry: Of the installed plugins.

    Raises:
        RunError: There is no such run, or it has all its iterations.
        CheckpointError: Its checkpoint is damaged, or does not fit the config or the plugins.
    """
    noted = noted_run()
    goes_on = noted is not None and bool(RunFolder(noted).checkpoints())
    if goes_on:
        resume = noted
    if resume is None:
        if is_restarted():
            _log.warning("the processes were started again; there was no checkpoint yet, so they begin a new run")
        return None
    path = Path(resume)
    folder, file = RunFolder.find_resumable(path), _find_file(path)
    if goes_on:
        _log.warning("the processes were started again, and go on from '%s'", file)
    checkpoint = load_checkpoint_of(folder, file, "rslcore train --resume")
    if checkpoint.iteration >= config.iterations and not goes_on:  # those before may have died when all was done
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
    return Resumed(folder, checkpoint)


def _find_file(path: Path) -> Path:
    return path if path.suffix == ".pt" else RunFolder.find_resumable(path).checkpoint()
