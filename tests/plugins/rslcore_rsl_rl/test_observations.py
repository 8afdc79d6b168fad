"""Observations in every form, and such as have none, as the adapter gives them."""

from __future__ import annotations

import numpy
import pytest
import torch
from adapting import CPU, Minimal, adapt, error_of, make, still
from tensordict import TensorDict


@pytest.mark.parametrize(
    ("obs", "groups"),
    [
        (torch.zeros(3, 4), ["policy"]),
        ((torch.zeros(3, 4), torch.zeros(3, 5)), ["critic", "policy"]),
        ((torch.zeros(3, 4), None), ["policy"]),
        ((torch.zeros(3, 4), {}), ["policy"]),
        ((torch.zeros(3, 4), {"observations": {"critic": torch.zeros(3, 5), "rnd_state": None}}), ["critic", "policy"]),
        (({"camera": torch.zeros(3, 1, 8, 8)}, {}), ["camera"]),
        ({"policy": {"joints": torch.zeros(3, 2), "command": torch.zeros(3, 1)}}, ["policy/command", "policy/joints"]),
        (TensorDict({"a": TensorDict({"b": torch.zeros(3, 2)}, [3])}, [3]), ["a/b"]),
    ],
)
def test_adapter_reads_observations_in_every_form(obs, groups):
    assert sorted(adapt(Minimal(obs)).spec.observations) == groups


def test_adapter_floats_become_float32_and_other_types_stay():
    types = (torch.float64, torch.float16, torch.bfloat16, torch.float32, torch.uint8, torch.int64, torch.bool)
    obs = {str(dtype): torch.ones(3, 2, dtype=dtype) for dtype in types}
    env = adapt(Minimal(obs))
    assert [spec.dtype for spec in env.spec.observations.values()] == [*["float32"] * 4, "uint8", "int64", "bool"]
    assert [group.dtype for group in still(env).obs.values()] == [
        *[torch.float32] * 4,
        torch.uint8,
        torch.int64,
        torch.bool,
    ]


def test_adapter_asks_for_the_first_observations_once():
    raw = make("isaac_lab")
    before = raw.unwrapped.num_observed
    env = adapt(raw)
    first = env.reset()
    assert raw.unwrapped.num_observed == before + 1
    again = env.reset()
    assert raw.unwrapped.num_observed > before + 1
    assert not torch.equal(first["policy"], again["policy"])


def test_adapter_observes_anew_what_a_script_has_stepped():
    raw = make("mjlab")
    env = adapt(raw)
    raw.unwrapped.mass.position[:] = 1.3
    assert (env.observe()["actor"][:, :2] > 1.2).all()
    assert (still(env).obs["actor"][:, :2] > 1.2).all()
    assert raw.episode_length_buf.tolist() == [1, 1, 1, 1]


def test_adapter_reads_what_a_script_asked_the_env_for():
    raw = make("mjlab")
    env = adapt(raw)
    obs = env.to_observations(raw.get_observations())
    assert obs["actor"].shape == (4, 4)
    step = env.to_step(*raw.step(torch.zeros(4, 2)))
    assert step.rewards.shape == (4,)
    assert not step.dones.any()


def test_adapter_first_observations_of_playground_reset_it_once():
    raw = make("playground")
    env = adapt(raw)
    env.reset()
    still(env)
    assert raw.num_resets == 1


def test_adapter_resets_an_env_of_rsl_rl_1_whose_observations_are_zeros():
    raw = make("legged_gym")
    assert not raw.get_observations().any()
    assert adapt(raw).reset()["policy"].any(-1).all()
    assert sorted(adapt(make("legged_gym", num_privileged_obs=None)).spec.observations) == ["policy"]


def test_adapter_moves_to_the_device_of_the_run_and_actions_to_that_of_the_env():
    seen = []

    class Env(Minimal):
        device = "meta"

        def step(self, actions):
            seen.append(actions)
            return super().step(actions)

    step = still(adapt(Env(torch.zeros(3, 4, dtype=torch.float64))))
    assert seen[0].device.type == "meta"
    assert step.obs["policy"].device == CPU


def test_adapter_observations_of_no_form():
    assert error_of(adapt, Minimal(numpy.zeros((3, 4)))) == (
        "env 'Minimal' gives in get_observations what no env of rsl_rl's kind does:\n"
        "  observations should be a TensorDict or a dict of tensors, a tensor, a pair of tensors for "
        "actor and critic, or a tensor with a dict that has the key 'observations'; they are a ndarray"
    )


def test_adapter_first_observations_of_other_shapes():
    assert error_of(adapt, Minimal({"a": numpy.zeros(3), "b": torch.zeros(2, 4), "c": torch.zeros(3)})) == (
        "env 'Minimal' gives in get_observations what no env of rsl_rl's kind does:\n"
        "  the observations 'a' should be a tensor [3, ...], they are a ndarray\n"
        "  the observations 'b' should be [3, ...], they are [2, 4]"
    )
    assert error_of(adapt, Minimal({})).endswith("  there are no observations")
