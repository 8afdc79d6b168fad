"""Videos in a run's folder, and whether they are whole."""

from __future__ import annotations

import os

import pytest

from rslcore_loggers.videos import find_videos, is_whole


def box(kind, content, long=False):
    if long:
        return (1).to_bytes(4, "big") + kind + (16 + len(content)).to_bytes(8, "big") + content
    return (8 + len(content)).to_bytes(4, "big") + kind + content


HEAD, DATA, INDEX = box(b"ftyp", b"isom"), box(b"mdat", bytes(range(100))), box(b"moov", b"the index")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEAD + DATA + INDEX, True),
        (HEAD + INDEX + DATA, True),
        (HEAD + box(b"mdat", b"1" * 70_000, long=True) + INDEX, True),
        (b"", False),
        (HEAD + DATA, False),
        (HEAD + DATA + INDEX[:-1], False),
        (HEAD + DATA[:50], False),
        (HEAD + bytes(4) + b"mdat" + b"1" * 50, False),
        (b"not a video at all", False),
        (HEAD + DATA + INDEX + b"12", False),
    ],
    ids=["index last", "index first", "long", "empty", "no index", "index cut", "data cut", "length", "text", "more"],
)
def test_video_is_whole_once_its_index_is_there(tmp_path, content, expected):
    (tmp_path / "a.mp4").write_bytes(content)
    assert is_whole(tmp_path / "a.mp4") is expected


def test_videos_are_found_in_all_folders_but_hidden_and_excluded_ones(tmp_path):
    names = ["b.mp4", "videos/train/a.MP4", "videos/wandb/c.mp4", "wandb/media/d.mp4", ".cache/e.mp4", "videos/f.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(HEAD + DATA + INDEX)
        os.utime(tmp_path / name, ns=(0, 5_000_000_007))
    (tmp_path / "cut.mp4").write_bytes(HEAD + DATA)
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    found = [(str(path.relative_to(tmp_path)), at) for path, at in find_videos(tmp_path, exclude=("wandb",))]
    assert found == [(name, 5_000_000_007) for name in ("b.mp4", "videos/train/a.MP4", "videos/wandb/c.mp4")]
