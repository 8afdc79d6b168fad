"""Signals to launches, and deaths of ranks: what is left on disk, what is said, and that nothing goes on running."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import time

import pytest
from launching import SMALL, TORCHRUN, TRAIN, Launched, are_gone, logged_iterations, only_run, stop

OWN = (*TRAIN, "--nproc-per-node", "2")
LONG = (
    *("cartpole", *SMALL, "iterations=1000000", "runner.save_interval=1000000"),
    "loggers=[{name: console, line_interval: 0}, {name: tensorboard}]",
)
INT, TERM, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGKILL


def launch(tmp_path, command, *overrides):
    launched = Launched([*command, *LONG, *overrides, "--log-root", tmp_path / "logs"], tmp_path / "output")
    launched.wait_for("iteration 3/")
    return launched


def to_launcher(run, number):
    stop(number, run.process.pid)


def to_its_group(run, number):
    os.killpg(run.process.pid, number)


def to_every_process(run, number):
    stop(number, *run.ranks().values(), run.process.pid)


def to_rank_0(run, number):
    stop(number, run.ranks()[0])


def to_rank_1(run, number):
    stop(number, run.ranks()[1])


@pytest.mark.parametrize(
    ("command", "send", "number", "code"),
    [
        (TRAIN, to_launcher, INT, 130),
        (TRAIN, to_launcher, TERM, 143),
        (OWN, to_launcher, INT, 130),
        (OWN, to_launcher, TERM, 143),
        (OWN, to_its_group, INT, 130),
        (OWN, to_every_process, TERM, 143),
        (OWN, to_rank_0, INT, 130),
        (OWN, to_rank_1, TERM, 143),
        (TORCHRUN, to_launcher, INT, 1),  # torchrun's own code
        (TORCHRUN, to_launcher, TERM, 1),
        (TORCHRUN, to_every_process, TERM, 1),
    ],
)
def test_signal_saves_once_and_ends_all(tmp_path, command, send, number, code):
    run = launch(tmp_path, command)
    pids = list(run.ranks().values())
    send(run, number)
    assert run.end() == code, run.text
    assert are_gone(pids)
    folder = only_run(tmp_path / "logs")
    (last,) = folder.checkpoints()
    assert f"Stopped by {number.name} at iteration {last}." in run.text
    assert logged_iterations(folder) == list(range(1, last + 1))
    resume = [*OWN, "--resume", folder.path, f"iterations={last + 2}", "loggers=[]", "--quiet"]
    subprocess.run(list(map(str, resume)), check=True)
    assert max(folder.checkpoints()) == last + 2
    print(f"\n{send.__name__} {number.name}: exit code {code}, checkpoint {last}")


def test_signal_lets_async_envs_finish_the_iteration(tmp_path):
    run = launch(tmp_path, OWN, "env.vectorization=async", "env.num_envs=2")
    stop(TERM, run.process.pid)
    assert run.end() == 143, run.text
    assert len(only_run(tmp_path / "logs").checkpoints()) == 1


@pytest.mark.parametrize(("number", "pause"), [(INT, 0.2), (TERM, 3.0)])
def test_signal_that_comes_twice_stops_at_once(tmp_path, number, pause):
    run = Launched(
        [*OWN, *LONG, "runner.num_steps_per_env=100000", "--log-root", tmp_path / "logs"], tmp_path / "output"
    )
    until = time.monotonic() + 60.0
    while not list((tmp_path / "logs").glob("*/*/events*")):  # it trains
        assert time.monotonic() < until, run.text
        time.sleep(0.1)
    time.sleep(1.0)
    pids = list(run.ranks().values())
    stop(number, run.process.pid)
    run.wait_for("finishing the iteration, then saving; once more stops at once, without saving")
    time.sleep(pause)
    stop(number, run.process.pid)
    assert run.end() == 128 + number, run.text
    assert are_gone(pids)
    assert not only_run(tmp_path / "logs").checkpoints()


def test_ctrl_c_in_a_terminal_saves_once(tmp_path):
    command = [*OWN, *LONG, "--log-root", str(tmp_path / "logs")]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    text = b""
    while b"iteration 3/" not in text:
        text += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    try:
        while part := os.read(terminal, 1000):
            text += part
    except OSError:
        pass  # the other end is closed
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    assert text.count(b"finishing the iteration") == 1
    assert len(only_run(tmp_path / "logs").checkpoints()) == 1


@pytest.mark.parametrize("victim", [0, 1])
def test_rank_that_is_killed_ends_the_others(tmp_path, victim):
    run = launch(tmp_path, OWN)
    pids = list(run.ranks().values())
    started = time.monotonic()
    stop(KILL, run.ranks()[victim])
    assert run.end() == 137, run.text
    seconds = time.monotonic() - started
    assert run.text.endswith(f"error: rank {victim} was ended by SIGKILL; all ranks have ended\n")
    assert are_gone(pids)
    only_run(tmp_path / "logs")
    print(f"\nrank {victim} killed: all ranks had ended after {seconds:.1f} seconds")


def test_launcher_that_is_killed_leaves_no_rank(tmp_path):
    run = launch(tmp_path, OWN)
    pids = list(run.ranks().values())
    stop(KILL, run.process.pid)
    run.end()
    assert are_gone(pids)
    print("\nlauncher killed: no rank left")


BROKEN_ENV = """
import os
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Broken(CartPoleEnv):
    steps = 0

    def step(self, action):
        self.steps += 1
        if self.steps > 20 and os.environ["RANK"] == "1":
            raise RuntimeError("the simulator is gone")
        return super().step(action)

gymnasium.register("Broken-v0", Broken, max_episode_steps=500)
"""


def test_env_that_fails_on_one_rank_ends_the_others_with_its_message(tmp_path, monkeypatch):
    (tmp_path / "broken_env.py").write_text(BROKEN_ENV)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    run = Launched([*OWN, *LONG, "env.id=broken_env:Broken-v0", "--log-root", tmp_path / "logs"], tmp_path / "output")
    assert run.end() == 2, run.text
    assert "rank 1: error: env 'broken_env:Broken-v0' failed in step: RuntimeError: the simulator is gone" in run.text
    assert run.text.endswith("error: rank 1 failed with exit code 2; all ranks have ended\n")


@pytest.mark.parametrize("rendezvous", ["c10d", "static"])
def test_two_machines_train_one_run(tmp_path, rendezvous):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    machines = []
    for machine in range(2):
        where = {
            "c10d": ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}", "--rdzv-id", "test"],
            "static": ["--node-rank", machine, "--master-addr", "localhost", "--master-port", port],
        }[rendezvous]
        command = [*TRAIN, "--nnodes", "2", "--nproc-per-node", "1", *where, "cartpole", *SMALL, "iterations=3"]
        machines.append(Launched([*command, "--log-root", tmp_path / "logs"], tmp_path / f"output{machine}"))
    assert [machine.end() for machine in machines] == [0, 0], [machine.text for machine in machines]
    assert list(only_run(tmp_path / "logs").checkpoints()) == [3]
    assert sorted("Trained 3 iterations." in machine.text for machine in machines) == [False, True]
