"""Videos of a run: files `*.mp4` anywhere in its folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path


def find_videos(folder: Path, exclude: Collection[str] = ()) -> Iterator[tuple[Path, int]]:
    """The whole videos in a folder and those in it, in the order of their names, but for hidden folders.

    Args:
        folder: Where to look.
        exclude: Names of folders in it that are not looked into.

    Yields:
        The path of each, and when it was last written, in nanoseconds.
    """
    for parent, folders, files in os.walk(folder):
        is_top = Path(parent) == folder
        folders[:] = sorted(name for name in folders if name[0] != "." and not (is_top and name in exclude))
        for path in (Path(parent, name) for name in sorted(files) if name.lower().endswith(".mp4")):
            with contextlib.suppress(OSError):  # it is gone again, or not to be read
                written_at = path.stat().st_mtime_ns
                if is_whole(path):
                    yield path, written_at


def is_whole(path: Path) -> bool:
    """Whether an MP4 file has been written to its end.

    It is a row of boxes, each of which begins with its length, 4 bytes, and its kind, 4 more (ISO/IEC 14496-12). The
    index `moov` is written when the video has ended, so a file whose boxes end where it ends, `moov` among them, is
    whole; the fragmented files of streams, which have it first, count as whole after each fragment.

    Raises:
        OSError: The file cannot be read.
    """
    kinds = set()
    with path.open("rb") as file:
        at, end = 0, os.fstat(file.fileno()).st_size
        while at < end:
            file.seek(at)
            head = file.read(16)
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if size == 1:  # a longer length follows
                size = int.from_bytes(head[8:16], "big")
            if size < 8:  # 0 means: to the end of the file, whose length is not known yet
                return False
            kinds.add(kind)
            at += size
    return at == end and b"moov" in kinds
