"""Whole episodes: how many are played where, and what is said where none ends."""

from __future__ import annotations

import contextlib

import pytest
import torch

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.evaluation import evaluate, load_policy
from rslcore.playing import play
from rslcore.registry import default_registry
from rslcore.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = load_config(
        "pendulum",
        ["iterations=2", "runner.save_interval=1", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]"],
    )
    return train(config, log_root=tmp_path_factory.mktemp("logs"), quiet=True).path


def test_play_counts_the_episodes_that_were_asked_for(run):
    context = Context(default_registry(), load_config(run / "config.yaml"), torch.device("cpu"), 1, 8)
    with contextlib.closing(context.build(context.config.env, "env")) as env:
        played = list(play(env, load_policy(run), 6))
    assert sum(step.counted.sum() for step in played) == 6
    ends = [step for step in played if step.dones.any()]
    assert [step.counted.tolist() for step in ends] == [[True] * 4, [True, True, False, False]]
    assert all(step.obs is not step.step.obs for step in played)


NO_END = (
    "no episode that counts has ended in the last {} steps, and the env has {}; to evaluate it with another one, stop "
    "this by Ctrl-C and set it among the env's options, as env.KEY=VALUE"
)


def test_evaluate_says_once_that_no_episode_ends(run, monkeypatch, caplog):
    monkeypatch.setattr("rslcore.playing.PATIENCE", 150)
    assert evaluate(run, episodes=8).lengths == (200,) * 8
    assert set(caplog.messages) == {NO_END.format(150, "a time limit of 200 steps")}


def test_evaluate_says_that_an_env_has_no_time_limit(small_config, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("rslcore.playing.PATIENCE", 5)
    config = small_config("env.id=rslcore_tests/Count-v0", "env.vectorization=sync")
    path = train(config, log_root=tmp_path, quiet=True).path
    assert evaluate(path, episodes=2, overrides=["env.id=rslcore_tests/CountTo12-v0"]).lengths == (12, 12)
    assert set(caplog.messages) == {NO_END.format(5, "no time limit")}


def test_evaluate_is_silent_where_episodes_end(run, caplog):
    evaluate(run, episodes=4)
    assert caplog.messages == []
