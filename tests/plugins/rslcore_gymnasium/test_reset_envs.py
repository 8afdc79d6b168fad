"""New episodes in some of Gymnasium's envs, begun from outside."""

from __future__ import annotations

import pytest
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv

from rslcore.errors import ConfigError
from rslcore.protocols import PartialResetEnv


class Longer(CartPoleVectorEnv):
    """CartPoles that may remember more than Gymnasium's."""


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_reset_envs_begins_new_episodes_in_some(build, vectorization):
    env = build("rslcore_tests/Count-v0", num_envs=3, vectorization=vectorization)
    assert isinstance(env, PartialResetEnv)
    env.reset()
    wait = torch.zeros(3, 1, dtype=torch.int64)
    env.step(wait)
    obs = env.reset_envs(torch.tensor([False, True, False]))
    assert obs["policy"].tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    assert env.step(wait).obs["policy"].tolist() == [[0.0, 2.0], [1.0, 1.0], [0.0, 2.0]]
    third = env.step(wait)
    assert third.truncated.tolist() == [True, False, True]
    assert third.obs["policy"].tolist() == [[1.0, 0.0], [1.0, 2.0], [1.0, 0.0]]
    none = torch.zeros(3, dtype=torch.bool)
    assert env.reset_envs(none)["policy"].tolist() == third.obs["policy"].tolist()
    assert env.reset_envs(~none)["policy"].tolist() == [[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]


def test_reset_envs_of_cartpoles_own_vectorised_version_begins_new_episodes(build):
    env = build("CartPole-v1", num_envs=3, kwargs={"max_episode_steps": 2})
    env.reset()
    push = torch.ones(3, 1, dtype=torch.int64)
    env.step(push)
    second = env.step(push)
    assert second.truncated.tolist() == [True, True, True]
    obs = env.reset_envs(torch.tensor([False, True, False]))
    assert (obs["policy"][1].abs() <= 0.05).all()
    assert (obs["policy"][[0, 2]] == second.obs["policy"][[0, 2]]).all()
    third, fourth = env.step(push), env.step(push)
    assert third.valid.tolist() == [False, True, False]
    assert third.truncated.tolist() == [False, False, False]
    assert fourth.truncated.tolist() == [False, True, False]
    assert env.step(push).valid.tolist() == [True, False, True]


def test_reset_envs_of_an_unknown_vectorised_version_is_refused(build, register):
    register(entry_point=CartPoleEnv, vector_entry_point=Longer)
    env = build("Temporary-v0", num_envs=2)
    env.reset()
    with pytest.raises(ConfigError) as caught:
        env.reset_envs(torch.tensor([True, False]))
    assert str(caught.value) == (
        "env.vectorization: the vectorised version of 'Temporary-v0' cannot reset some of its envs; write sync"
    )
