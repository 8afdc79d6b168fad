"""Runs of several processes from the command line, for tests that signal and kill them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from rslcore.run.folder import RunFolder

SECONDS = 120.0
"""How long is waited for anything at most: on a busy machine a launch alone takes a minute."""

SMALL = ("env.num_envs=8", "runner.num_steps_per_env=8", "algorithm.num_learning_epochs=1")
TRAIN = (sys.executable, "-m", "rslcore", "train")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rslcore", "train")


class Launched:
    """A command that starts several processes, in a process group of its own, with its output in a file.

    As a context, it is ended with the block, however that ends; its processes end with it.

    Args:
        command: The command line.
        output: The file.
    """

    def __init__(self, command: Sequence[str | Path], output: Path) -> None:
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def text(self) -> str:
        """What all processes have written so far."""
        return self._output.read_text()

    def ranks(self) -> dict[int, int]:
        """The process ids by rank of those that are there now."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended meanwhile
            if parent == self.process.pid:
                found |= {int(each[5:]): int(folder.name) for each in variables if each.startswith(b"RANK=")}
        return found

    def wait_for(self, text: str, count: int = 1, after: int = 0) -> None:
        """Wait until the processes have written a text a number of times, not counting the first characters of all."""
        until = time.monotonic() + SECONDS
        while self.text.count(text, after) < count:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < until, self.text
            time.sleep(0.02)

    def end(self) -> int:
        """Wait until the launcher has ended; returns its exit code."""
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(self.text) from None


def are_gone(pids: Sequence[int]) -> bool:
    """Whether processes end; on a busy machine even those that were killed take their time."""
    until = time.monotonic() + SECONDS
    while any(_is_alive(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def only_run(root: Path) -> RunFolder:
    """The one run under a root, which must have left no half files."""
    (experiment,) = root.iterdir()
    (run,) = experiment.iterdir()
    assert not list(run.glob(".*.tmp"))
    return RunFolder(run)


def logged_iterations(run: RunFolder) -> list[int]:
    """The iterations whose scalars a reader of TensorBoard's files sees, in the order in which they were written."""
    iterations: list[int] = []
    for file in sorted(run.path.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(file)).Load():
            if event.HasField("session_log"):  # it says from where on what came before is void
                iterations = [each for each in iterations if each < event.step]
            iterations += [event.step for value in event.summary.value if value.tag == "Perf/total_fps"]
    return iterations


def stop(number: signal.Signals, *pids: int) -> None:
    """Send a signal to processes."""
    for pid in pids:
        os.kill(pid, number)
