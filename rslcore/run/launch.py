"""What the processes of one launch know of those before them: torchrun may start them several times.

What has to outlive the processes lies with torchrun's agent, in the store through which they find one another. It lives
as long as the launch, so that no other launch, at the same time or later, can take a run for its own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined]

_RUN = "rslcore/run/{training}"
_PR_SET_PDEATHSIG = 1


def is_launched() -> bool:
    """Whether torchrun, or `rslcore train --nproc-per-node`, has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_restarted() -> bool:
    """Whether it has started processes in this one's place before."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def noted_run(training: int) -> Path | None:
    """The folder of the run that processes of this launch have trained before.

    Args:
        training: Which call of `train` in a process, since a script may train several runs.
    """
    store, key = _agent_store(), _RUN.format(training=training)
    return Path(store.get(key).decode()) if store is not None and store.check([key]) else None


def note_run(folder: Path, training: int) -> None:
    """Note the folder of the run, for processes that may be started in the place of these."""
    if (store := _agent_store()) is not None:
        store.set(_RUN.format(training=training), str(folder.absolute()))


def end_with_launcher() -> None:
    """Let the system end this process when its launcher is gone, which could not end it any more."""
    if is_launched() and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _agent_store() -> TCPStore | None:
    """The store of torchrun's agent; None without one."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    return TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
