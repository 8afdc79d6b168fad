"""The process of a contender: it builds itself, then makes an iteration each time it is told to.

Each has a process of its own, so that its libraries, what it compiles, how it allocates and its peak memory are its
own. It runs the library's own loop; where that would report an iteration, it says how long it took and waits.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import re
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import attrs

from speed.contenders import Contender
from speed.workloads import Workload

READY_TIMEOUT, TURN_TIMEOUT = 600.0, 1200.0
"""Seconds to build, and to make an iteration, the first of which may compile."""


class Finished(BaseException):
    """There are no more turns."""


@attrs.frozen
class Setting:
    """What a worker trains.

    Attributes:
        workload: What.
        contender: Who.
        device: `cpu` or `cuda`.
        threads: Of torch, on the CPU.
    """

    workload: Workload
    contender: Contender
    device: str
    threads: int


@attrs.frozen
class Turn:
    """Seconds of an iteration: of its rollout, and of all that follows."""

    collect: float
    learn: float

    @property
    def whole(self) -> float:
        """Both."""
        return self.collect + self.learn


class WorkerError(Exception):
    """A worker has failed; its message says why."""


class Turns:
    """A worker's view of the turns."""

    def __init__(self, connection: Connection, setting: Setting) -> None:
        self._connection = connection
        self.device, self.threads = setting.device, setting.threads
        self._memory = {"before": _peak_mb(setting.device)}
        self._started = 0.0

    def begin(self) -> None:
        """All is built; wait for the first turn."""
        self._connection.send(None)
        self._wait()

    def end(self, collect: float) -> None:
        """An iteration is done, `collect` seconds of which went into its rollout; wait for the next turn.

        Raises:
            Finished: There is none.
        """
        self._synchronize()
        whole = time.perf_counter() - self._started
        self._connection.send(Turn(collect, whole - collect))
        self._wait()

    def elapsed(self) -> float:
        """Seconds since the turn began."""
        return time.perf_counter() - self._started

    def _wait(self) -> None:
        if not self._connection.recv():
            self._connection.send({**self._memory, "peak": _peak_mb(self.device)})
            raise Finished
        self._synchronize()
        self._started = time.perf_counter()

    def _synchronize(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()


def _peak_mb(device: str) -> float:
    """Most memory so far, in MB: resident in this process, or on the GPU what torch's allocator gave out.

    `ru_maxrss` would be that of the parent where that is greater, so the kernel's own number is read.
    """
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) * 1024 / 1e6


def _serve(connection: Connection, setting: Setting) -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - libraries print; what fails is sent
    import torch

    torch.set_num_threads(setting.threads)
    try:
        turns = Turns(connection, setting)
        module = importlib.import_module(f"speed.{setting.contender.module}")
        with contextlib.suppress(Finished):
            module.train(setting.workload, setting.contender.options, turns)
    except Exception as error:
        connection.send(WorkerError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}"))


class Worker:
    """The parent's view of a worker, which begins to build itself at once.

    Args:
        setting: What it trains.
    """

    def __init__(self, setting: Setting) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, setting), daemon=True)
        self._process.start()
        theirs.close()

    def wait(self) -> None:
        """Until it is built.

        Raises:
            WorkerError: It cannot be.
        """
        self._receive(READY_TIMEOUT)

    def iterate(self) -> Turn:
        """Have it make an iteration.

        Raises:
            WorkerError: It has failed.
        """
        self._connection.send(True)
        turn: Turn = self._receive(TURN_TIMEOUT)
        return turn

    def finish(self) -> dict[str, float]:
        """Have it end; its memory in MB: the `peak`, and what that was `before` anything of its own was imported."""
        self._connection.send(False)
        memory: dict[str, float] = self._receive(READY_TIMEOUT)
        self._process.join()
        return memory

    def _receive(self, timeout: float) -> Any:
        try:
            if not self._connection.poll(timeout):
                self._fail(f"said nothing for {timeout:g} s")
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join(5.0)
            self._fail(f"ended with exit code {self._process.exitcode}")
        if isinstance(answer, WorkerError):
            self._process.join()
            raise answer
        return answer

    def _fail(self, reason: str) -> NoReturn:
        self._process.kill()
        raise WorkerError(reason)
