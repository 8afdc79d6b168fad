"""A run in the hands of a program: learned in pieces, saved by the program, with a folder or without."""

from __future__ import annotations

import contextlib

import attrs
import pytest
import torch

from rslcore.context import Context
from rslcore.registry import default_registry
from rslcore.run.checkpoint import load_checkpoint, save_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.payload import read_payload
from rslcore.run.session import RunSession
from rslcore.training import build_algorithm, learn, num_steps_per_env


class Kept:
    """A keeper that keeps checkpoints in memory, after every second iteration."""

    def __init__(self):
        self.checkpoints = []
        self.folder = None

    def restore(self, checkpoint):
        pass

    def start(self, folder):
        self.folder = folder

    def is_due(self, iteration, interval):
        return iteration % 2 == 0

    def best_with(self, iteration, metrics):
        return None

    def write(self, checkpoint, best):
        self.checkpoints.append(checkpoint)

    def finish(self):
        pass


class Records:
    """A logger that remembers the iterations of its life."""

    def __init__(self):
        self.iterations = []
        self.closed = False

    def start(self, session):
        pass

    def log(self, record):
        self.iterations.append((record.iteration, record.total_iterations))

    def close(self):
        self.closed = True


@pytest.fixture
def program(small_config):
    """What a program builds: a context with its env, an algorithm, a keeper and a session."""
    config = small_config("loggers=[]")
    context = Context(default_registry(), config, torch.device("cpu"), 1, num_steps_per_env(config))
    with contextlib.closing(context.build(config.env, "env")) as env:
        context = attrs.evolve(context, env=env, spec=env.spec)
        algorithm, keeper = build_algorithm(context), Kept()
        session = RunSession(context, algorithm, {}, quiet=True, keeper=keeper)

        def go_on(iterations, loggers, obs, folder):
            session.go_on(iterations, loggers, obs)
            runner = context.build(config.runner, "runner", env=env, algorithm=algorithm, session=session)
            learn(session, runner, folder)
            return runner

        yield env, session, keeper, go_on


def test_go_on_learns_a_run_in_pieces(program):
    env, session, keeper, go_on = program
    first, second = Records(), Records()
    runner = go_on(3, {"records": first}, env.reset(), None)
    episodes = list(runner.episodes.returns)
    runner = go_on(2, {"records": second}, session.first_observations(), None)
    assert session.iteration == session.total_iterations == 5
    assert [each.iteration for each in keeper.checkpoints] == [2, 3, 4, 5]
    assert list(runner.episodes.returns)[: len(episodes)] == episodes  # the window goes on
    assert first.closed


def test_start_without_a_folder_leaves_nothing_and_tells_nobody(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env, _, keeper, go_on = program
    records = Records()
    go_on(1, {"records": records}, env.reset(), None)
    assert keeper.folder is None
    assert not list(tmp_path.iterdir())


def test_start_with_a_folder_tells_the_keeper_and_the_loggers_of_each_piece(program, tmp_path):
    env, session, keeper, go_on = program
    folder = RunFolder(tmp_path)
    first, second = Records(), Records()
    go_on(2, {"records": first}, env.reset(), folder)
    go_on(1, {"records": second}, session.first_observations(), folder)
    assert keeper.folder is folder
    assert first.iterations == [(1, 2), (2, 2)]
    assert second.iterations == [(3, 3)]


def test_save_checkpoint_holds_what_other_programs_read(program, tmp_path):
    env, _, keeper, go_on = program
    go_on(2, {}, env.reset(), None)
    (checkpoint,) = keeper.checkpoints
    weights = checkpoint.algorithm["modules"]["policy"]["module"]
    save_checkpoint(tmp_path / "model_2.pt", checkpoint)
    alone = (tmp_path / "model_2.pt").stat().st_size
    save_checkpoint(tmp_path / "model_2.pt", checkpoint, {"model_state_dict": weights, "iter": 1})
    payload, has_checksum = read_payload(tmp_path / "model_2.pt")
    assert has_checksum
    assert payload["iter"] == 1
    assert payload["model_state_dict"].keys() == weights.keys()
    assert load_checkpoint(tmp_path / "model_2.pt").iteration == 2
    assert (tmp_path / "model_2.pt").stat().st_size < alone + 8192  # the same tensors are there once
