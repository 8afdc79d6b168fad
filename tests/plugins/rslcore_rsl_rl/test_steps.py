"""What a step of the adapter is made of: how episodes end, and what is no step."""

from __future__ import annotations

import re

import pytest
import stand_ins
import torch
from adapting import Minimal, adapt, error_of, make, short, still

from rslcore.errors import EnvError
from rslcore_rsl_rl.vec_env import VecEnvAdapter


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_adapter_time_limit_truncates_alone(family):
    env = adapt(short(family))
    first = env.reset()
    assert first.batch_size == (4,)
    # legged_gym's reset makes a step, and counts the one beyond the limit, as Genesis does.
    until = {"genesis": 5, "legged_gym": 4}.get(family, 4)
    before, at, after = still(env, until - 1), still(env), still(env)
    for step, ends in ((before, False), (at, True), (after, False)):
        assert step.truncated.tolist() == [ends] * 4
        assert step.terminated.tolist() == [False] * 4
        assert step.truncated.dtype == step.terminated.dtype == torch.bool
        assert step.rewards.dtype == torch.float32
        assert step.final_obs is None


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_adapter_terminal_state_is_no_truncation_though_time_outs_are_old(family):
    env = adapt(make(family))
    env.reset()
    mass = env.unwrapped.mass
    mass.position[0] = 3.0
    step = still(env)
    assert step.terminated.tolist() == [True, False, False, False]
    assert not step.truncated.any()


def test_adapter_old_time_outs_do_not_end_episodes():
    raw = make("legged_gym")
    env = adapt(raw)
    env.reset()
    raw.episode_length_buf[1] = 41
    ended = still(env)
    assert ended.truncated.tolist() == [False, True, False, False]
    raw.mass.position[1] = 3.0
    raw.reset_idx = lambda env_ids: None  # so that the time-outs stay as they were
    assert raw.extras["time_outs"].tolist() == [False, True, False, False]
    assert still(env).truncated.tolist() == [False, True, False, False]  # which is all that can be known
    raw.mass.position[1] = 0.0
    step = still(env)
    assert not step.dones.any()


def test_adapter_finite_horizon_has_no_truncation():
    env = adapt(short("isaac_lab", finite_horizon=True))
    env.reset()
    assert still(env, 4).terminated.all()


def test_adapter_step_of_other_shapes_says_all_at_once():
    wrong = {"rewards": torch.ones(3, 1), "dones": None, "extras": {"time_outs": torch.ones(2)}}
    assert error_of(still, adapt(Minimal(torch.zeros(3, 4), **wrong))) == (
        "env 'Minimal' gives in step what no env of rsl_rl's kind does:\n"
        "  the rewards should be [3], they are [3, 1]\n"
        "  the dones should be a tensor [3], they are None\n"
        "  the extras['time_outs'] should be [3], they are [2]"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"rewards": torch.zeros(3, dtype=torch.bool)},
            "the rewards should be numbers, they are bool; Gymnasium's envs need the project's wrapper",
        ),
        ({"extras": [1]}, "the extras should be a dict, they are a list"),
        (
            {"a": 1, "b": 2},
            "it should be observations, rewards, dones and extras, or as in rsl_rl 1.x observations, privileged ones, "
            "...; it is a tuple of a Tensor, a Tensor, a Tensor, a dict, a int, a int",
        ),
    ],
)
def test_adapter_step_of_another_kind(changes, line):
    env = adapt(Minimal(torch.zeros(3, 4), **changes))
    assert error_of(still, env) == f"env 'Minimal' gives in step what no env of rsl_rl's kind does:\n  {line}"


def test_step_of_gymnasiums_kind_is_refused(monkeypatch):
    env = stand_ins.isaac_lab(3, "cpu", 1)
    adapter = VecEnvAdapter(env, torch.device("cpu"))
    flags = torch.zeros(3, dtype=torch.bool)
    monkeypatch.setattr(env, "step", lambda actions: (env.get_observations(), torch.zeros(3), flags, flags, {}))
    message = (
        "it gave five values, as Gymnasium's envs do; rsl_rl's give four: observations, rewards, dones (terminated | "
        "truncated) and extras, with truncated as extras['time_outs']"
    )
    with pytest.raises(EnvError, match=re.escape(message)):
        adapter.step(torch.zeros(3, 2))
