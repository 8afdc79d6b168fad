"""Envs of rsl_rl's kind, made and adapted: those of `stand_ins`, and one that gives what a test says."""

from __future__ import annotations

import pytest
import stand_ins
import torch

from rslcore.errors import EnvError
from rslcore_rsl_rl.vec_env import VecEnvAdapter

CPU = torch.device("cpu")
LENGTH = {"genesis": {"episode_length_s": 0.08}, "playground": {"episode_length": 4}}
"""How the stand-ins are told that episodes end after four steps, or five for those that compare by `>`."""

GROUPS = {
    "isaac_lab": {"policy": 4, "critic": 5},
    "isaac_lab_2": {"policy": 4, "critic": 5},
    "mjlab": {"actor": 4, "critic": 5},
    "genesis": {"policy": 4},
    "playground": {"state": 4, "privileged_state": 8},
    "legged_gym": {"policy": 4, "critic": 5},
}


def make(family, num_envs=4, **options):
    return stand_ins.FAMILIES[family](num_envs, "cpu", 1, **options)


def short(family, **options):
    return make(family, **{**LENGTH.get(family, {"length": 4}), **options})


def adapt(env, **options):
    return VecEnvAdapter(env, CPU, **options)


def still(env, num_steps=1):
    """Some steps without a push; the last one."""
    actions = torch.zeros(env.spec.num_envs, env.spec.actions.num_actions)
    return [env.step(actions) for _ in range(num_steps)][-1]


class Minimal:
    """Has what is required, and gives what a test says."""

    num_envs, num_actions = 3, 2

    def __init__(self, obs, **changes):
        self.obs, self.changes = obs, changes

    def get_observations(self):
        return self.obs

    def step(self, actions):
        given = {"obs": self.obs, "rewards": torch.ones(3), "dones": torch.zeros(3), "extras": {}}
        return tuple({**given, **self.changes}.values())


def error_of(call, *arguments, **options):
    with pytest.raises(EnvError) as caught:
        call(*arguments, **options)
    return str(caught.value)
