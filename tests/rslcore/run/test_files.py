"""Files that are whole or not there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rslcore.run.files import copy_atomically, remove_left_behind, write_atomically


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


@pytest.fixture(params=["links", "no links"])
def links(request, monkeypatch):
    """File systems with hard links and without."""

    def refuse(source, path):
        raise PermissionError(1, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("links")
def test_copy_takes_the_place_of_the_file_before_it(tmp_path):
    first, second, copy = tmp_path / "a", tmp_path / "b", tmp_path / "copy"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    for source in (first, first, second):
        copy_atomically(source, copy)
        assert copy.read_bytes() == source.read_bytes()
        assert set(tmp_path.iterdir()) == {first, second, copy}
    second.unlink()
    write_atomically(first, lambda file: file.write(b"new"))
    assert copy.read_bytes() == b"two"


@pytest.mark.usefixtures("links")
def test_copy_that_fails_leaves_the_file_before_it(tmp_path, monkeypatch):
    source, copy = tmp_path / "a", tmp_path / "copy"
    source.write_bytes(b"one")
    copy.write_bytes(b"before")
    with pytest.raises(FileNotFoundError):
        copy_atomically(tmp_path / "nothing", copy)

    def fail(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left on device"):
        copy_atomically(source, copy)
    assert copy.read_bytes() == b"before"
    assert set(tmp_path.iterdir()) == {source, copy}


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from rslcore.run.files import write_atomically
write_atomically(Path(sys.argv[1]), lambda file: os.kill(os.getpid(), signal.SIGKILL))
"""


def left_behind_by_a_killed_process(path):
    subprocess.run([sys.executable, "-c", WRITE_AND_DIE, path], check=False)
    (left,) = path.parent.glob(f".{path.name}.*.tmp")
    return left


def test_remove_left_behind_takes_what_a_killed_process_has_left(tmp_path):
    left = left_behind_by_a_killed_process(tmp_path / "a.txt")
    assert remove_left_behind(tmp_path, re.compile("a.bin")) == []
    assert remove_left_behind(tmp_path, re.compile(r"a\.txt")) == [left]
    assert list(tmp_path.iterdir()) == []


def test_remove_left_behind_leaves_what_others_may_write(tmp_path):
    left = left_behind_by_a_killed_process(tmp_path / "a")
    dead, host = left.name.split(".")[-2], left.name.removeprefix(".a.").rpartition(".")[0].rpartition(".")[0]
    left.unlink()
    ours, alive = [left.with_name(f".a.{host}.{process}.tmp") for process in (os.getpid(), os.getppid())]
    elsewhere, of_before = left.with_name(f".a.elsewhere.{dead}.tmp"), left.with_name(f".a.{dead}.tmp")
    for path in (
        ours,
        alive,
        elsewhere,
        of_before,
        tmp_path / "a",
        tmp_path / ".a.tmp",
        tmp_path / f"a.{host}.{dead}.tmp",
    ):
        path.touch()
    assert remove_left_behind(tmp_path, re.compile("a")) == [ours]  # a process of before with our number
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    assert set(remove_left_behind(tmp_path, re.compile("a"))) == {alive, elsewhere, of_before}
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".a.tmp", f"a.{host}.{dead}.tmp"}
