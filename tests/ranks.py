"""Processes that train together, for tests: as torchrun would start them, but once for many tests.

    def add(value):
        return sum_over_ranks(torch.tensor(value)).item()

    def test_sum(two_ranks):
        assert two_ranks.run(add, 1.5) == [3.0, 3.0]

A function runs in every process, in a process group of its own; which rank it is, `rslcore.distributed.rank` says. It
is a function of a module, and its arguments and its result can be pickled.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib.util
import inspect
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch.distributed import TCPStore

from rslcore.distributed import joined

TIMEOUT = 120.0
"""Seconds that a call may take before it is taken for a hang."""

# What a fork of this server has imported already: a new process is there at once.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["rslcore.training", "torch.nn.parallel", "pytest"])


@attrs.frozen
class Outcome:
    """How a rank ended.

    Attributes:
        value: What its function returned.
        error: Type and message of what it raised, or how the process ended; empty if neither.
        traceback: Of the error.
    """

    value: Any = None
    error: str = ""
    traceback: str = ""


class FailedRankError(AssertionError):
    """A rank has failed, or not finished; the message has its traceback."""


@attrs.define
class _Worker:
    process: Any
    connection: Connection
    stacks: Path


class RankPool:
    """Processes that run functions together; one that has ended is replaced at the next call.

    Args:
        num_ranks: Number of processes.
        device: `cpu`, where they talk through gloo, or `cuda`, through NCCL with one GPU each.
        timeout: See `TIMEOUT`.
    """

    def __init__(self, num_ranks: int, device: str = "cpu", timeout: float = TIMEOUT) -> None:
        self.num_ranks, self.device, self.timeout = num_ranks, device, timeout
        self._folder = tempfile.TemporaryDirectory()
        self._workers: list[_Worker] = []

    def run(self, function: Any, *arguments: Any) -> list[Any]:
        """What the function returns on each rank. Raises FailedRankError with the traceback of one that failed."""
        outcomes = self.outcomes(function, *arguments)
        failed = [(rank, outcome) for rank, outcome in enumerate(outcomes) if outcome.error]
        if failed:  # one that was left alone says nothing of the cause
            rank, outcome = next((each for each in failed if "LostRankError" not in each[1].error), failed[0])
            raise FailedRankError(f"rank {rank} of {self.num_ranks}: {outcome.error}\n{outcome.traceback}")
        return [outcome.value for outcome in outcomes]

    def outcomes(self, function: Any, *arguments: Any) -> list[Outcome]:
        """How each rank ended; nothing is raised but for a hang."""
        self._start()
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # where they find one another
        module = function.__module__, inspect.getfile(function)
        waiting = {}
        for rank, worker in enumerate(self._workers):
            worker.connection.send((store.port, *module))
            worker.connection.send((function, arguments))
            waiting[worker.connection] = rank
        outcomes: dict[int, Outcome] = {}
        deadline = time.monotonic() + self.timeout
        while waiting:
            ready = wait(list(waiting), timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                raise FailedRankError(self._describe_hang(function, sorted(waiting.values())))
            for connection in ready:
                rank = waiting.pop(connection)
                try:
                    outcomes[rank] = connection.recv()
                    if outcomes[rank].error:
                        self._workers[rank].process.join()
                except EOFError:
                    process = self._workers[rank].process
                    process.join()
                    outcomes[rank] = Outcome(error=f"the process ended with exit code {process.exitcode}")
        return [outcomes[rank] for rank in range(self.num_ranks)]

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(5.0)
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
            worker.process.close()
        self._workers = []

    def __enter__(self) -> RankPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
        self._folder.cleanup()

    def _start(self) -> None:
        if any(not worker.process.is_alive() for worker in self._workers):
            self.close()
        while len(self._workers) < self.num_ranks:
            rank = len(self._workers)
            ours, theirs = _PROCESSES.Pipe()
            stacks = Path(self._folder.name) / f"stacks_{rank}"
            arguments = (theirs, rank, self.num_ranks, self.device, stacks)
            process = _PROCESSES.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours, stacks))

    def _describe_hang(self, function: Any, ranks: list[int]) -> str:
        """Where ranks wait; they are ended."""
        for rank in ranks:
            os.kill(self._workers[rank].process.pid, signal.SIGUSR1)
        time.sleep(0.5)  # while they write
        stacks = [f"rank {rank}:\n{self._workers[rank].stacks.read_text()}" for rank in ranks]
        for worker in self._workers:
            worker.process.kill()
        self.close()
        names = ", ".join(map(str, ranks))
        return f"rank {names} did not finish {function.__name__} in {self.timeout:g} s\n" + "\n".join(stacks)


def backends(num_ranks: int) -> list[Any]:
    """The devices of a pool, as the parameters of a fixture: NCCL's where there are as many GPUs."""
    few = pytest.mark.skipif(torch.cuda.device_count() < num_ranks, reason=f"needs {num_ranks} GPUs")
    return [pytest.param("cpu", id="gloo"), pytest.param("cuda", id="nccl", marks=few)]


def _serve(connection: Connection, rank: int, num_ranks: int, device: str, stacks: Path) -> None:
    """What a process does until the pool is closed."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(num_ranks), "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(num_ranks)}
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}  # the store is the test's
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    gc.freeze()  # what is imported is not looked through at every collection
    own = torch.device(device, rank) if device == "cuda" else torch.device(device)
    with stacks.open("w") as file, contextlib.suppress(EOFError):
        faulthandler.register(signal.SIGUSR1, file)
        while True:
            outcome = _run(own, connection)
            connection.send(outcome)
            if outcome.error:
                os._exit(1)  # torch may wait for ever for what a lost rank has left behind


def _run(device: torch.device, connection: Connection) -> Outcome:
    port, module, file = connection.recv()
    os.environ["MASTER_PORT"] = str(port)
    root = str(Path(__file__).parents[1])
    if root not in sys.path:
        sys.path.append(root)  # tests are modules of `tests`; at the end, so that what is installed comes first
    try:
        _import(module, file)
        function, arguments = connection.recv()
        with joined(device):
            return Outcome(function(*arguments))
    except Exception as error:
        return Outcome(error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def _import(module: str, file: str) -> None:
    """Import a test's module, which cannot be found by its name."""
    if module not in sys.modules:
        spec = importlib.util.spec_from_file_location(module, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])
