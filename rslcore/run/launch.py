"""Which run the processes of one launch train, so that those that torchrun starts again go on with it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from rslcore.run.files import write_atomically


class Launch:
    """One call of torchrun, which may start its processes several times (`--max-restarts`).

    The run's folder is noted in a small file beside it, since nothing but the disk outlives a process.

    Args:
        folder: The experiment's, in which runs have their folders.
    """

    def __init__(self, folder: Path) -> None:
        # Without a rendezvous of its own a launch has no name; its agent is the parent of its processes.
        run_id = os.environ.get("TORCHELASTIC_RUN_ID", "none")
        name = run_id if run_id != "none" else f"{socket.gethostname()}_{os.getppid()}"
        self._note = folder / f".launch_{name}"

    @property
    def is_restarted(self) -> bool:
        """Whether the processes were started again."""
        return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0

    @property
    def run(self) -> Path | None:
        """The folder of the run that was noted."""
        try:
            return Path(self._note.read_text())
        except OSError:
            return None

    def note(self, run: Path) -> None:
        """Note the folder of the run, if processes may be started again."""
        if "TORCHELASTIC_RUN_ID" in os.environ:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._note, lambda file: file.write(str(run.absolute()).encode()))

    def forget(self) -> None:
        """The run has ended as it should."""
        self._note.unlink(missing_ok=True)
