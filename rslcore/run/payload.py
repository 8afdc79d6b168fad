"""A file of plain data and tensors that tells whether it is whole, and executes nothing when it is read.

It is what `torch.save` writes, a zip archive, with a checksum as the archive's comment: `sha256:` and the SHA-256, in
hexadecimal, of the file as it was without a comment. `torch.load`, Python's zipfile and unzip read it as any other.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from rslcore.errors import CheckpointError, UnsafeContentError

_LABEL = b"sha256:"
_COMMENT_SIZE = len(_LABEL) + 2 * hashlib.sha256().digest_size
_NO_COMMENT = (0).to_bytes(2, "little")
"""The last bytes of a zip archive without a comment: its length."""
_CHUNK = 2**20


def dump_payload(payload: Any, file: BinaryIO) -> None:
    """Write plain data and tensors, and their checksum, into an open file.

    Nothing is copied on the way but tensors that are on another device, one at a time.

    Raises:
        OSError: The file cannot be written.
    """
    hashed = _HashedFile(file)
    torch.save(payload, cast(BinaryIO, hashed))  # it calls nothing but write and flush
    if hashed.error is not None:
        raise hashed.error
    file.seek(-len(_NO_COMMENT), os.SEEK_END)
    file.write(_trailer(hashed.sha256.hexdigest()))


def read_payload(path: Path) -> tuple[Any, bool]:
    """Read what `dump_payload` or `torch.save` has written onto the CPU; a checksum is verified before all else.

    Returns:
        The payload, and whether there was a checksum.

    Raises:
        CheckpointError: The file cannot be read, or is damaged.
        UnsafeContentError: It holds more than plain data and tensors; says what.
    """
    try:
        with path.open("rb") as file:
            has_checksum = _verify(file, path)
            file.seek(0)
            return _parse(file, path), has_checksum
    except OSError as error:
        raise CheckpointError(f"the checkpoint '{path}' cannot be read: {error.strerror or error}") from error


def _trailer(digest: str) -> bytes:
    """The end of an archive with a comment: its length, and the comment."""
    return _COMMENT_SIZE.to_bytes(2, "little") + _LABEL + digest.encode()


class _HashedFile:
    """A file for `torch.save` to write into, which hashes what is written and keeps the first failure for later.

    What is raised amid `torch.save` is lost: its writer still ends the archive, and fails with a message of its own.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None
        self._file = file

    def write(self, data: Any) -> int:
        """Write a buffer, unless something has failed before; always says that all of it was written."""
        if self.error is None:
            try:
                self._file.write(data)
                self.sha256.update(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Do nothing: whoever opened the file flushes it."""


def _verify(file: BinaryIO, path: Path) -> bool:
    """See whether a file is an archive, and whether it fits its checksum. Returns whether it has one."""
    if (start := file.read(4)) != b"PK\3\4":
        raise _damaged(path, "it does not begin as a checkpoint does" if start else "it is empty")
    size = file.seek(0, os.SEEK_END)
    left = file.seek(max(size - len(_NO_COMMENT) - _COMMENT_SIZE, 0))
    trailer = file.read()
    if not trailer[len(_NO_COMMENT) :].startswith(_LABEL):
        return False
    sha256 = hashlib.sha256()
    file.seek(0)
    while left and (chunk := file.read(min(left, _CHUNK))):
        sha256.update(chunk)
        left -= len(chunk)
    sha256.update(_NO_COMMENT)
    if trailer != _trailer(sha256.hexdigest()):
        raise _damaged(path, "its content does not fit its checksum")
    return True


def _parse(file: BinaryIO, path: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = ", ".join(_unsafe_names(file))
        what = f" ({named})" if named else ""
        raise UnsafeContentError(
            f"'{path}' is damaged, or holds more than plain data and tensors{what}; it was not loaded, since that "
            "might execute something"
        ) from error
    except Exception as error:  # torch raises many kinds, by the place of the damage
        raise _damaged(path, f"torch cannot read it ({type(error).__name__})") from error


def _unsafe_names(file: BinaryIO) -> list[str]:
    """The classes and functions that a file names beside those of plain data and tensors; they are not imported."""
    try:
        file.seek(0)
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except Exception:  # a damaged file has no names
        return []


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"'{path}' is damaged, truncated or no checkpoint: {reason}")
