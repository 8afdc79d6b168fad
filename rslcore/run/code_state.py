"""The state of the code that a run is made with: of git repositories the commit, what is changed, and how.

It is read with the program `git`, of which nothing is asked that changes a repository. Nothing here raises: a run
without a record of its code is better than no run.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import attrs

from rslcore.run.files import remove_left_behind, write_atomically

FOLDER = "git"
"""In the run's folder."""

MAX_SECONDS = 10.0
"""That a call of git may take: a repository may lie on a slow file system, or have filters that fetch files."""

MAX_BYTES = 10 * 2**20
"""Of a difference, or of a status; what is beyond is cut."""

_OPTIONS = ["--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "color.ui=false"]

_AS_A_PATCH = ("--unified=3", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
"""That `git apply` takes, whatever the user's own settings are."""

_OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
"""Environment variables that name a repository, as in a git hook, and come before the folder that git is run in."""

_log = logging.getLogger(__name__)


class _GitError(Exception):
    """git is not there, does not answer or refuses."""


def record_code_state(folder: Path, repositories: Sequence[str | os.PathLike[str]], iteration: int = 0) -> list[Path]:
    """Write `git/<name>.diff` for each repository: its commit, its status, and its difference from that commit.

    `git apply` takes the file and makes the commit what the code was, but for untracked files, which the status names,
    and binary ones. No file is ever written over: where a state is another one than the repository's last that is
    recorded, as it may be in a resumed run, it goes to `<name>_<iteration>.diff`.

    What cannot be recorded is warned about: there is no git, no repository or no such path, or git fails or takes
    longer than `MAX_SECONDS`.

    Args:
        folder: The run's.
        repositories: Of each a file or folder in it; those of one repository count once.
        iteration: From which the run goes on, 0 for a new one.

    Returns:
        The files that were written.
    """
    remove_left_behind(folder / FOLDER, re.compile(r".+\.diff"))
    written = []
    for root in _roots(repositories):
        try:
            state = _state_of(root)
            path = _new_path(folder / FOLDER, root, iteration, state)
            if path is not None:
                path.parent.mkdir(exist_ok=True)
                write_atomically(path, partial(_write, state))
                written.append(path)
        except (_GitError, OSError) as error:
            _log.warning("the state of the git repository '%s' cannot be recorded: %s", root, error)
    return written


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _roots(repositories: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The top folders of the repositories, each once."""
    roots: dict[Path, None] = {}
    for repository in repositories:
        try:
            path = Path(repository).expanduser().absolute()
            if not path.exists():
                raise _GitError("there is no such path")
            top = _git(path if path.is_dir() else path.parent, "rev-parse", "--show-toplevel").text
            roots[Path(os.fsdecode(top.removesuffix(b"\n")))] = None
        except (_GitError, OSError, RuntimeError) as error:  # the latter where `~` is nobody's
            _log.warning("no git repository is recorded for '%s': %s", os.fspath(repository), error)
    return list(roots)


def _state_of(root: Path) -> bytes:
    status = _git(root, "status", "--short", "--branch")
    try:
        commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").text.strip()
        base = commit
    except _GitError:  # no commit yet: all that git knows of is new, compared with an empty tree
        commit, base = b"none", _git(root, "hash-object", "-t", "tree", "--stdin").text.strip()
    difference = _git(root, "diff", *_AS_A_PATCH, os.fsdecode(base), "--")
    lines = [_first_line(root), b"commit: " + commit, b"status:", *_lines(status, "status")]
    return b"\n".join([*lines, b"", *_lines(difference, "difference"), b""])


def _first_line(root: Path) -> bytes:
    return b"repository: " + os.fsencode(root)


def _lines(output: _Output, what: str) -> list[bytes]:
    lines = [output.text.removesuffix(b"\n")] if output.text else []
    if output.is_cut:
        note = f"the {what} is longer than {MAX_BYTES:,} bytes"
        _log.warning("of a git repository %s; what is beyond is not recorded", note)
        lines.append(f"(cut by rslcore: {note})".encode())
    return lines


def _new_path(folder: Path, root: Path, iteration: int, state: bytes) -> Path | None:
    """Where a state is to be written; None if it is the one that was recorded last of this repository."""
    latest: Path | None = None
    for path in sorted(folder.glob("*.diff"), key=lambda path: path.stat().st_mtime_ns):
        with path.open("rb") as file:
            if file.readline().removesuffix(b"\n") == _first_line(root):
                latest = path
    if latest is not None and latest.read_bytes() == state:
        return None
    name = root.name or "root"
    stem = name if latest is None else f"{name}_{iteration}"
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    return next(path for name in names if not (path := folder / f"{name}.diff").exists())


@attrs.frozen
class _Output:
    text: bytes
    is_cut: bool


def _git(folder: Path, *arguments: str) -> _Output:
    """What git prints. Raises _GitError."""
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                ["git", "-C", str(folder), *_OPTIONS, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,  # so that its filters end with it
            )
        except FileNotFoundError as error:
            raise _GitError("the program 'git' is not installed") from error
        assert process.stdout is not None
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(MAX_SECONDS, stop)
        timer.start()
        try:
            text = process.stdout.read(MAX_BYTES + 1)
            is_cut = len(text) > MAX_BYTES
            if is_cut:
                _kill(process)
            process.stdout.close()
            code = process.wait()
        finally:
            timer.cancel()
        if late.is_set():
            raise _GitError(f"'git {arguments[0]}' took longer than {MAX_SECONDS:g} seconds")
        if code and not is_cut:
            errors.seek(0)
            reason = errors.read().decode(errors="replace").strip().partition("\n")[0] or f"exit code {code}"
            raise _GitError(reason.removeprefix("fatal: "))
    return _Output(text[:MAX_BYTES], is_cut)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
