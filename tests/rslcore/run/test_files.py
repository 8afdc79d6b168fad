"""Files that are whole or not there."""

from __future__ import annotations

import pytest

from rslcore.run.files import write_atomically


def test_write_leaves_only_the_file(tmp_path):
    write_atomically(tmp_path / "a", lambda file: file.write(b"new"))
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="^disk full$"):
        write_atomically(tmp_path / "a", fail)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
