"""One process trains a run at a time: two that write into one folder would each undo what the other does."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
from pathlib import Path
from types import TracebackType

from rslcore.errors import RunError

_FILE = ".lock"
_log = logging.getLogger(__name__)


class RunLock:
    """Holds a run's folder, through a lock of the kernel on the file `.lock` in it, until the context ends.

    The kernel frees the lock when the process is gone, however it ended. It is a lock between processes; threads of one
    process are not kept apart, and processes that it forks do not hold it.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._descriptor = -1

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the folder free."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._path = None

    def take(self, folder: Path) -> None:
        """Hold a folder from now on. Where the file system has no locks, warn.

        Args:
            folder: The run's; it exists, and this object holds no other.

        Raises:
            RunError: Another process holds it; says which.
        """
        assert self._path is None, "a process trains one run at a time"
        path = folder / _FILE
        try:
            while not _is_at(path, descriptor := _lock(path)):
                os.close(descriptor)  # it was deleted by the one that held it, after we had opened it
        except BlockingIOError:
            holder = _holder(path)
            raise RunError(
                f"the run '{folder}' is being trained by {holder}; wait for it or stop it (if it is gone for sure, "
                f"delete '{path}')"
            ) from None
        except OSError as error:
            _log.warning(
                "the run '%s' cannot be locked (%s); see to it that no other process trains it", folder, error.strerror
            )
            return
        self._path, self._descriptor = path, descriptor
        with contextlib.suppress(OSError):  # on a full disk it holds, but cannot say who it is
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _lock(path: Path) -> int:
    """A descriptor of the locked file. Raises BlockingIOError if another process has locked it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if text := path.read_text().strip():
            return text
    return "another process"
