"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_HOST = re.sub(r"[^\w.-]", "_", socket.gethostname())
_SECONDS_OF_A_DAY = 24 * 60 * 60


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that a crash at any moment leaves the old one, the new one or none, never a part.

    Args:
        path: The file; its folder exists.
        write: Writes the content into the open file that it is given.

    Raises:
        OSError: The file cannot be written; nothing is left behind and an old file stays.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def copy_atomically(source: Path, path: Path) -> None:
    """Copy a file that nobody changes in place, as `write_atomically` would write it.

    The copy is a second name of the same content where the file system has hard links.

    Raises:
        OSError: That cannot be done; nothing is left behind and an old file stays.
    """
    temporary = _temporary(path)
    try:
        temporary.unlink(missing_ok=True)
        os.link(source, temporary)
    except FileNotFoundError:
        raise
    except OSError:  # no hard links here
        with source.open("rb") as content:
            write_atomically(path, lambda file: shutil.copyfileobj(content, file))
        return
    try:
        temporary.replace(path)
    finally:  # replacing a file by itself under another name leaves both names
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove_left_behind(folder: Path, names: re.Pattern[str]) -> list[Path]:
    """Remove the temporary files of processes that were killed while they wrote files of certain names.

    These are files of this machine whose process is gone, or has the number of this one; so this process must not be
    writing. Nothing is known of processes on other machines that share the folder: a file of theirs is removed when it
    is a day old, and so is one whose process number is in use, maybe by another program.

    Returns:
        Those that were removed; one that cannot be removed stays.
    """
    temporary = re.compile(rf"\.(?:{names.pattern})(?:\.(?P<host>.+))?\.(?P<pid>[0-9]+)\.tmp")
    removed = []
    for path in folder.glob(".*.tmp"):
        match = temporary.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if match and (_is_gone(match["host"], int(match["pid"])) or _is_old(path)):
                path.unlink()
                removed.append(path)
    return removed


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.tmp")


def _is_gone(host: str | None, process: int) -> bool:
    """Whether a process surely runs no more. One with our own number was before us, as in a container."""
    if host != _HOST:
        return False
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False


def _is_old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > _SECONDS_OF_A_DAY


def _sync_folder(folder: Path) -> None:
    """Put a rename on disk, which is only durable once the folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
