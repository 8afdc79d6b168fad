"""What an env gives, against what it says of itself."""

from __future__ import annotations

import attrs
import pytest
import torch
from tensordict import TensorDict

from rslcore.config import load_config
from rslcore.errors import EnvError
from rslcore.protocols import EnvStep
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.testing.fakes.env import FakeEnv
from rslcore.testing.registry import installed_registry
from rslcore.training import train
from rslcore.watch.shapes import StepCheck, obs_problems, step_problems

CPU = torch.device("cpu")
SPEC = EnvSpec(3, {"policy": TensorSpec((2,)), "camera": TensorSpec((1, 4, 4), "uint8")}, ActionSpec(1))


def make_obs(**changes):
    groups = {"policy": torch.zeros(3, 2), "camera": torch.zeros(3, 1, 4, 4, dtype=torch.uint8)} | changes
    return TensorDict({name: group for name, group in groups.items() if group is not None}, batch_size=[])


def make_step(**changes):
    flags = torch.zeros(3, dtype=torch.bool)
    obs = TensorDict(make_obs().to_dict(), batch_size=[3])
    return EnvStep(**{"obs": obs, "rewards": torch.zeros(3), "terminated": flags, "truncated": flags, **changes})


def test_obs_problems_of_what_the_spec_says_are_none():
    assert obs_problems(SPEC, CPU, make_step().obs) == []


def test_obs_problems_of_other_groups_and_tensors_are_all_told():
    obs = make_obs(policy=torch.zeros(3, 4, dtype=torch.float64), camera=None, camra=torch.zeros(3, 1))
    assert obs_problems(SPEC, CPU, obs) == [
        "obs should have the batch size [3], it has []",
        "obs should have the group 'camera', it has 'camra', 'policy'",
        "obs has a group 'camra' that the spec does not name; did you mean 'camera'?",
        "obs['policy'] should be [3, 2] float32 on cpu, it is [3, 4] float64 on cpu",
    ]


def test_obs_problems_of_another_device_are_told():
    obs = make_obs(policy=torch.zeros(3, 2, device="meta"))
    obs.batch_size = [3]
    assert obs_problems(SPEC, CPU, obs) == [
        "obs['policy'] should be [3, 2] float32 on cpu, it is [3, 2] float32 on meta"
    ]


def test_obs_problems_of_no_tensordict_say_what_it_is():
    assert obs_problems(SPEC, CPU, {}) == ["obs should be a TensorDict of observation groups, it is a dict"]


def test_step_problems_of_what_the_spec_says_are_none():
    step = make_step(valid=torch.ones(3, dtype=torch.bool))
    assert step_problems(SPEC, CPU, attrs.evolve(step, final_obs=step.obs)) == []


def test_step_problems_of_every_field_are_told():
    step = make_step(
        rewards=torch.zeros(3, 1, dtype=torch.float64),
        terminated=torch.zeros(2, dtype=torch.bool),
        truncated=torch.zeros(1, dtype=torch.int64),
        valid=torch.ones(2, dtype=torch.bool),
        final_obs=make_obs(),
    )
    assert step_problems(SPEC, CPU, step) == [
        "rewards should be [3] float32 on cpu, it is [3, 1] float64 on cpu",
        "terminated should be [3] bool on cpu, it is [2] bool on cpu",
        "truncated should be [3] bool on cpu, it is [1] int64 on cpu",
        "valid should be [3] bool on cpu, it is [2] bool on cpu",
        "final_obs should have the batch size [3], it has []",
    ]


def test_step_problems_of_final_obs_that_the_spec_denies_are_told():
    spec = attrs.evolve(SPEC, keeps_final_obs=False)
    step = make_step()
    assert step_problems(spec, CPU, attrs.evolve(step, final_obs=step.obs)) == [
        "final_obs should be None, since the spec says that the env keeps no final observations"
    ]


def test_step_check_looks_whole_at_what_comes_for_the_first_time():
    check = StepCheck(SPEC, CPU)
    good = make_step()
    assert check.problems(good) == []
    wrong = TensorDict({**good.obs, "policy": torch.zeros(3, 2, dtype=torch.float64)}, batch_size=[3])
    assert check.problems(attrs.evolve(good, final_obs=wrong)) == [
        "final_obs['policy'] should be [3, 2] float32 on cpu, it is [3, 2] float64 on cpu"
    ]
    assert check.problems(attrs.evolve(good, valid=torch.ones(3, dtype=torch.int64))) == [
        "valid should be [3] bool on cpu, it is [3] int64 on cpu"
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rewards": torch.zeros(3, 1)}, "rewards should be [3] float32 on cpu, it is [3, 1] float32 on cpu"),
        ({"rewards": torch.zeros(())}, "rewards should be [3] float32 on cpu, it is [] float32 on cpu"),
        ({"valid": torch.ones(1, dtype=torch.bool)}, "valid should be [3] bool on cpu, it is [1] bool on cpu"),
        (
            {"obs": TensorDict({"policy": torch.zeros(3, 2)}, batch_size=[3])},
            "obs should have the group 'camera', it has 'policy'",
        ),
        (
            {"final_obs": TensorDict({**make_step().obs, "policy": torch.zeros(3, 1)}, batch_size=[3])},
            "final_obs['policy'] should be [3, 2] float32 on cpu, it is [3, 1] float32 on cpu",
        ),
        ({"obs": {}}, "obs should be a TensorDict of observation groups, it is a dict"),
    ],
)
def test_step_check_sees_a_shape_that_changes_at_any_step(changes, problem):
    check = StepCheck(SPEC, CPU)
    good = make_step(valid=torch.ones(3, dtype=torch.bool))
    good.final_obs = good.obs.clone()
    for _ in range(3):
        assert check.problems(good) == []
    assert check.problems(attrs.evolve(good, **changes)) == [problem]
    assert check.problems(good) == []


def fake_config(tmp_path):
    overrides = ("env={name: fake}", "loggers=[]", "runner.num_steps_per_env=8", "iterations=2")
    return load_config("pendulum", (*overrides, "algorithm.num_mini_batches=2"), registry=installed_registry())


def test_train_refuses_first_observations_that_are_not_as_the_spec_says(tmp_path, monkeypatch):
    reset = FakeEnv.reset
    monkeypatch.setattr(FakeEnv, "reset", lambda env: reset(env).double())
    with pytest.raises(EnvError) as caught:
        train(fake_config(tmp_path), log_root=tmp_path, quiet=True, registry=installed_registry())
    assert str(caught.value) == (
        "env 'fake' does not give what its spec says in its first observations:\n"
        "  obs['policy'] should be [4, 3] float32 on cpu, it is [4, 3] float64 on cpu\n"
        "  obs['privileged'] should be [4, 2] float32 on cpu, it is [4, 2] float64 on cpu"
    )
    assert not list(tmp_path.iterdir())


def test_train_refuses_a_first_step_that_is_not_as_the_spec_says(tmp_path, monkeypatch):
    step = FakeEnv.step
    monkeypatch.setattr(
        FakeEnv, "step", lambda env, actions: attrs.evolve(step(env, actions), rewards=torch.zeros(4, 1), valid=None)
    )
    with pytest.raises(EnvError) as caught:
        train(fake_config(tmp_path), log_root=tmp_path, quiet=True, registry=installed_registry())
    assert str(caught.value) == (
        "env 'fake' does not give what its spec says at its first step:\n"
        "  rewards should be [4] float32 on cpu, it is [4, 1] float32 on cpu"
    )


def test_train_refuses_another_number_of_envs_when_it_changes(small_config, tmp_path):
    overrides = ("env.id=rslcore_tests/FaultySprings-v0", "env.kwargs={lost_at: 13, where: none}")
    with pytest.raises(EnvError) as caught:
        train(small_config(*overrides, recipe="pendulum"), log_root=tmp_path, quiet=True)
    assert str(caught.value) == (
        "env 'gymnasium' does not give what its spec says at step 5 of iteration 2:\n"
        "  obs should have the batch size [4], it has [3]\n"
        "  obs['policy'] should be [4, 2] float32 on cpu, it is [3, 2] float32 on cpu\n"
        "  rewards should be [4] float32 on cpu, it is [3] float32 on cpu\n"
        "  terminated should be [4] bool on cpu, it is [3] bool on cpu\n"
        "  truncated should be [4] bool on cpu, it is [3] bool on cpu"
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"valid": torch.ones(1, dtype=torch.bool)}, "valid should be [4] bool on cpu, it is [1] bool on cpu"),
        ({"rewards": torch.zeros(4, 1)}, "rewards should be [4] float32 on cpu, it is [4, 1] float32 on cpu"),
    ],
)
def test_train_refuses_a_later_step_that_is_not_as_the_spec_says(tmp_path, monkeypatch, change, problem):
    step = FakeEnv.step
    changes = iter([{}, {}, change])
    monkeypatch.setattr(FakeEnv, "step", lambda env, actions: attrs.evolve(step(env, actions), **next(changes)))
    with pytest.raises(EnvError) as caught:
        train(fake_config(tmp_path), log_root=tmp_path, quiet=True, registry=installed_registry())
    assert str(caught.value) == f"env 'fake' does not give what its spec says at step 3 of iteration 1:\n  {problem}"
