"""The tasks of `tests/tasks.py`: dynamics, ends of episodes, and that they are to be learned as they say."""

from __future__ import annotations

import gymnasium
import numpy
import pytest
import tasks
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.registry import default_registry

NAMES = ("CartPolePositions", "CartPolePrivileged", "Catch")


def episode_returns(envs, choose, steps):
    """Returns of the episodes that end when `choose()` gives the actions `[N]`."""
    envs.reset(seed=1)
    running, ended = numpy.zeros(envs.num_envs), []
    for _ in range(steps):
        _, rewards, terminated, truncated, _ = envs.step(choose()[:, None].astype(numpy.float32))
        running += rewards
        done = terminated | truncated
        ended += running[done].tolist()
        running[done] = 0.0
    return ended


def test_the_pole_moves_as_gymnasiums_does():
    envs, peer = tasks.CartPolePositions(1), CartPoleEnv()
    peer.reset(seed=3)
    envs.reset(seed=3)
    envs.state[:, 0] = peer.state
    for push in (1, 1, 0, 1, 0, 0, 0):
        envs.step(numpy.array([[0.5 if push else -0.5]]))
        state, *_ = peer.step(push)
        numpy.testing.assert_allclose(envs.state[:, 0], state, rtol=1e-6)


def test_a_pole_can_be_balanced_by_those_who_know_its_velocity():
    envs = tasks.CartPolePositions(16)
    weights = numpy.array([0.3, 0.5, 10.0, 2.0])
    assert episode_returns(envs, lambda: weights @ envs.state, 1000) == [500.0] * 32


def test_a_pole_is_not_balanced_by_its_angle_alone():
    envs = tasks.CartPolePositions(16)
    assert numpy.mean(episode_returns(envs, lambda: envs.state[2], 1000)) < 100


def test_a_ball_that_is_followed_is_caught_most_of_the_time():
    envs = tasks.Catch(64)
    returns = episode_returns(envs, lambda: numpy.sign(envs.column - envs.paddle), 360)
    assert numpy.mean(returns) > 19


def test_three_balls_missed_end_the_episode():
    envs = tasks.Catch(1, wind=0.0)
    envs.reset(seed=1)
    rewards, ended = [], False
    while not ended:
        away = 1.0 if envs.column[0] < 4 else -1.0
        _, reward, terminated, truncated, _ = envs.step(numpy.array([[away]]))
        rewards.append(reward[0])
        ended = terminated[0] or truncated[0]
    assert terminated[0]
    assert (sum(rewards), len(rewards)) == (-3.0, 27)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_image_shows_the_ball(dtype):
    envs = gymnasium.make_vec("rslcore_tests/Catch-v0", num_envs=3, dtype=dtype)
    obs, _ = envs.reset(seed=1)
    image = obs["image"]
    assert image.dtype == dtype
    assert image.shape == (3, 1, 10, 9)
    assert (image.reshape(3, -1).max(1) == (255 if dtype == "uint8" else 1)).all()
    assert ((image > 0).reshape(3, -1).sum(1) == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_observations_are_those_of_the_space(name):
    envs = gymnasium.make_vec(f"rslcore_tests/{name}-v0", num_envs=4)
    obs, _ = envs.reset(seed=1)
    assert envs.observation_space.contains(obs)
    again, _ = envs.reset(seed=1)
    numpy.testing.assert_equal(obs, again)


@pytest.mark.parametrize("name", NAMES)
def test_rslcore_sees_the_last_observation_of_an_episode(name):
    overrides = [f"env={{name: gymnasium, id: 'tasks:rslcore_tests/{name}-v0', num_envs: 8}}"]
    config = load_config("cartpole", overrides)
    context = Context(default_registry(), config, torch.device("cpu"), 1, 8)
    env = context.build(config.env, "env")
    env.reset()
    generator, ends = torch.Generator().manual_seed(0), 0
    for _ in range(60):
        step = env.step(torch.randn(8, 1, generator=generator))
        assert step.valid is None
        assert (step.final_obs is not None) == bool(step.dones.any())
        if step.final_obs is not None:
            same = torch.stack([(step.final_obs[name] == group).flatten(1).all(1) for name, group in step.obs.items()])
            assert same.all(0)[~step.dones].all()
            assert not same.all(0)[step.dones].any()
            ends += int(step.dones.sum())
    env.close()
    assert ends > 0
