"""Files of plain data and tensors, with a checksum."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import zipfile

import pytest
import torch
from damaging import rewrite

from rslcore.errors import CheckpointError
from rslcore.run.payload import dump_payload, read_payload
from rslcore.testing.values import difference

PAYLOAD = {"weights": torch.arange(1000.0), "nested": {"x": [1, 2.5, "text", None]}}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "payload.pt"
    rewrite(path, PAYLOAD)
    return path


def test_read_gives_what_was_written_and_says_that_it_has_a_checksum(saved, tmp_path):
    payload, has_checksum = read_payload(saved)
    assert difference(payload, PAYLOAD) is None
    assert has_checksum
    torch.save(PAYLOAD, tmp_path / "plain.pt")
    payload, has_checksum = read_payload(tmp_path / "plain.pt")
    assert difference(payload, PAYLOAD) is None
    assert not has_checksum


def test_dump_writes_a_file_that_others_read(saved):
    for mmap in (False, True):
        assert difference(torch.load(saved, weights_only=True, mmap=mmap), PAYLOAD) is None
    with zipfile.ZipFile(saved) as archive:
        assert archive.testzip() is None
        without_comment = saved.read_bytes()[: -2 - len(archive.comment)] + b"\0\0"
        assert archive.comment.decode() == f"sha256:{hashlib.sha256(without_comment).hexdigest()}"


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_dump_writes_a_file_that_unzip_finds_whole(saved):
    assert subprocess.run(["unzip", "-t", saved], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"text", "it does not begin as a checkpoint does"),
        (b"PK\3\4", "torch cannot read it (RuntimeError)"),
        (b"PK\3\4" + b"sha256:".rjust(100, b"\0") + bytes(64), "its content does not fit its checksum"),
    ],
)
def test_read_what_is_no_archive(tmp_path, content, reason):
    path = tmp_path / "payload.pt"
    path.write_bytes(content)
    message = f"'{path}' is damaged, truncated or no checkpoint: {reason}"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        read_payload(path)


def test_read_of_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match=f"^the checkpoint '{tmp_path}' cannot be read: Is a directory$"):
        read_payload(tmp_path)


def test_read_from_a_failing_disk(saved, monkeypatch):
    class Unreadable(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(saved), "open", lambda path, mode: Unreadable())
    with pytest.raises(CheckpointError, match=f"^the checkpoint '{saved}' cannot be read: Input/output error$"):
        read_payload(saved)


class Failing(io.BytesIO):
    """A file on a disk that is full after some bytes."""

    def __init__(self, space):
        super().__init__()
        self.space = space

    def write(self, data):
        if self.tell() + len(data) > self.space:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_dump_to_a_full_disk_says_so_and_nothing_else(saved, capfd):
    size = saved.stat().st_size
    for space in [*range(0, size, 97), size - 1]:
        with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device$"):
            dump_payload(PAYLOAD, Failing(space))
    dump_payload(PAYLOAD, Failing(size))
    assert capfd.readouterr() == ("", "")
