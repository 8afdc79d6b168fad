"""What to do when a checkpoint of a run turns out to be damaged."""

from __future__ import annotations

import shlex
from pathlib import Path

from rslcore.errors import CheckpointError
from rslcore.run.checkpoint import Checkpoint, load_checkpoint
from rslcore.run.folder import RunFolder


def load_checkpoint_of(folder: RunFolder, path: Path, command: str | None = None) -> Checkpoint:
    """Read a checkpoint of a run. Another one is never taken in its place, but named if this one cannot be read.

    Args:
        folder: The run.
        path: The checkpoint.
        command: What a user would type before the path of a checkpoint to go on with it, as `rslcore eval`.

    Raises:
        CheckpointError: It cannot be read; names the newest one before it that can, and says how to go on with that.
    """
    try:
        return load_checkpoint(path)
    except CheckpointError as error:
        earlier = _newest_before(folder, path)
        if earlier is None:
            raise
        advice = f"; to take that, type `{command} {shlex.quote(str(earlier))}`" if command else ""
        raise CheckpointError(f"{error}; the newest one before it that can be read is '{earlier}'{advice}") from error


def _newest_before(folder: RunFolder, path: Path) -> Path | None:
    held = folder.checkpoints()
    its_iteration = next((number for number, file in held.items() if file.resolve() == path.resolve()), 0)
    for iteration, file in reversed(held.items()):
        if iteration < its_iteration:
            try:
                load_checkpoint(file)
                return file
            except CheckpointError:
                continue
    return None
