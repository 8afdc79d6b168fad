"""One process trains a run at a time."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from rslcore.errors import RunError
from rslcore.run.lock import RunLock
from rslcore.training import train

HOLD = """
import pathlib, sys
from rslcore.run.lock import RunLock
with RunLock() as lock:
    lock.take(pathlib.Path(sys.argv[1]))
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Let another process hold a folder; it gives it free when its input is closed."""
    processes = []

    def begin(folder):
        command = [sys.executable, "-c", HOLD, str(folder)]
        processes.append(process := subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert process.stdout.readline() == b"held\n"
        return process

    yield begin
    for process in processes:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def take(folder):
    with RunLock() as lock:
        lock.take(folder)


def test_lock_that_another_process_holds_is_refused(tmp_path, hold):
    holder = hold(tmp_path)
    message = (
        f"the run '{tmp_path}' is being trained by process {holder.pid} on {socket.gethostname()}; wait for it or stop "
        f"it (if it is gone for sure, delete '{tmp_path / '.lock'}')"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        take(tmp_path)
    (tmp_path / ".lock").write_text("")  # as on a full disk
    with pytest.raises(RunError, match="is being trained by another process; wait for it or stop it"):
        take(tmp_path)


def test_lock_of_a_process_that_has_ended_or_was_killed_is_free(tmp_path, hold):
    hold(tmp_path).communicate()
    assert list(tmp_path.iterdir()) == []
    killed = hold(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (tmp_path / ".lock").exists()
    take(tmp_path)


def test_lock_that_was_deleted_does_not_bind(tmp_path, hold):
    hold(tmp_path)
    (tmp_path / ".lock").unlink()
    take(tmp_path)


def test_lock_is_not_held_by_what_the_process_forks(tmp_path):
    begun, ended = os.pipe(), os.pipe()
    with RunLock() as lock:
        lock.take(tmp_path)
        if (child := os.fork()) == 0:
            os.write(begun[1], b"1")
            os.read(ended[0], 1)
            os._exit(0)
        os.read(begun[0], 1)
    code = subprocess.run([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.DEVNULL, check=False).returncode
    os.write(ended[1], b"1")
    os.waitpid(child, 0)
    for descriptor in (*begun, *ended):
        os.close(descriptor)
    assert code == 0


def test_lock_where_there_is_none_warns(tmp_path, monkeypatch, caplog):
    def refuse(descriptor, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.lockf", refuse)
    take(tmp_path)
    assert caplog.messages == [
        f"the run '{tmp_path}' cannot be locked (No locks available); see to it that no other process trains it"
    ]


def test_train_run_of_another_process_is_refused(small_config, tmp_path, hold):
    run = train(small_config(), log_root=tmp_path, quiet=True).path
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    holder = hold(run)
    with pytest.raises(RunError, match=f"^the run '{re.escape(str(run))}' is being trained by process {holder.pid} on"):
        train(small_config("iterations=3"), resume=run, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in run.iterdir() if path.name != ".lock"} == before
    holder.communicate()
    assert train(small_config("iterations=3"), resume=run, quiet=True).iteration == 3
