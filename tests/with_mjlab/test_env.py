"""The env `mjlab` keeps the contract of envs."""

from __future__ import annotations

import contextlib

import pytest
import torch
from mjlab.tasks.registry import load_env_cfg

from rslcore.config import EnvComponent
from rslcore.context import Context
from rslcore.registry import default_registry
from rslcore.testing import EnvContract
from rslcore_mjlab.config import MjlabConfig

TASK = "Mjlab-Cartpole-Balance"


class TestCartpole(EnvContract):
    @pytest.fixture
    def component(self):
        return {"name": "mjlab", "task": TASK, "num_envs": 64, "changes": {"episode_length_s": 5.0}}

    @pytest.fixture
    def num_steps(self):
        return 100


@pytest.mark.parametrize("task", [TASK, "Mjlab-Velocity-Flat-Unitree-Go1"])
def test_env_as_it_is_played_ends_as_in_training(task):
    context = Context(default_registry(), None, torch.device("cpu"), 7, 8)
    component = EnvComponent("mjlab", MjlabConfig(task=task, num_envs=1, play=True))
    with contextlib.closing(context.build(component, "env")) as env:
        assert env.spec.max_episode_length == 1000
        assert env.unwrapped.cfg.episode_length_s == load_env_cfg(task).episode_length_s
        assert not env.unwrapped.cfg.observations["actor"].enable_corruption
    assert load_env_cfg(task, play=True).episode_length_s >= 1e9


def test_env_is_seeded_clipped_and_knows_its_joints():
    context = Context(default_registry(), None, torch.device("cpu"), 7, 8)
    component = EnvComponent("mjlab", MjlabConfig(task=TASK, num_envs=2, clip_actions=3.0))
    with contextlib.closing(context.build(component, "env")) as env:
        assert env.unwrapped.cfg.seed == 7
        assert env.spec.actions.names == ("slider",)
        assert env.spec.actions.high == (3.0,)
        assert (env.spec.num_envs, env.spec.max_episode_length) == (2, 1000)
