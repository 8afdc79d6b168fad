"""Several discrete actions, end to end: integers from the distribution to the env, and in every column between."""

from __future__ import annotations

import gymnasium
import numpy
import pytest
import torch
from gymnasium import spaces

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.evaluation import evaluate, load_policy
from rslcore.registry import default_registry
from rslcore.training import build_algorithm, train
from rslcore_gymnasium.env import GymnasiumEnv

pytest.importorskip("mujoco")
ID = "rslcore_multi_discrete.envs:HalfCheetahMultiDiscrete-v0"


@pytest.fixture
def config(small_config):
    """The recipe, made small."""
    return small_config("algorithm.num_mini_batches=2", recipe="halfcheetah_multi_discrete")


@pytest.fixture
def context(config):
    """The env and what else an algorithm is built with."""
    made = Context(default_registry(), config, torch.device("cpu"), 1, 8)
    env = made.build(config.env, "env")
    yield Context(default_registry(), config, torch.device("cpu"), 1, 8, spec=env.spec, env=env)
    env.close()


@pytest.mark.parametrize("bins", [2, 5])
def test_env_takes_a_choice_for_each_joint(bins):
    with gymnasium.make(ID, bins=bins) as env:
        assert env.action_space == spaces.MultiDiscrete([bins] * 6)
        assert env.spec.max_episode_steps == 1000


def test_env_choices_are_the_middles_of_equal_bins():
    with gymnasium.make(ID) as env:
        env.reset(seed=0)
        env.step(numpy.array([0, 1, 2, 3, 4, 2]))
        # Gymnasium's HalfCheetah applies the action as it is.
        numpy.testing.assert_allclose(env.unwrapped.data.ctrl, [-0.8, -0.4, 0.0, 0.4, 0.8, 0.0], atol=1e-6)


def test_spec_has_the_choices(context):
    assert context.env_spec.actions.num_choices == (5,) * 6


def test_actions_are_integers_from_the_policy_to_the_minibatch(context, monkeypatch):
    taken = []
    step = GymnasiumEnv.step
    monkeypatch.setattr(GymnasiumEnv, "step", lambda self, actions: taken.append(actions) or step(self, actions))
    ppo = build_algorithm(context)
    ppo.train_mode()
    obs = context.env.reset()
    with ppo.rollout_context():
        for _ in range(8):
            result = context.env.step(ppo.act(obs))
            ppo.process_env_step(result)
            obs = result.obs
    assert {(actions.dtype, tuple(actions.shape)) for actions in taken} == {(torch.int64, (4, 6))}
    stored = ppo.storage.column("actions")
    assert stored.dtype == torch.int64
    assert torch.equal(stored, torch.stack(taken))
    assert stored.unique().tolist() == [0, 1, 2, 3, 4]
    (batch,) = ppo.storage.mini_batches(1, 1)
    assert (batch["actions"].dtype, tuple(batch["actions"].shape)) == (torch.int64, (32, 6))
    metrics = ppo.update(obs)
    assert all(torch.isfinite(value) for value in metrics.values())


def test_policy_that_was_trained_is_resumed_loaded_and_evaluated(config, small_config, tmp_path):
    first = train(config, log_root=tmp_path, quiet=True)
    further = small_config("algorithm.num_mini_batches=2", "iterations=3", recipe="halfcheetah_multi_discrete")
    result = train(further, resume=first.path, quiet=True)
    assert result.iteration == 3
    policy = load_policy(result.path)
    actions = policy({"policy": numpy.zeros((3, 17))})
    assert (actions.dtype, tuple(actions.shape)) == (torch.int64, (3, 6))
    assert evaluate(result.path, episodes=1).lengths == (1000,)


def test_recipe_is_halfcheetah_but_for_env_and_distribution():
    ours, theirs = load_config("halfcheetah_multi_discrete"), load_config("halfcheetah")
    assert (ours.algorithm, ours.runner, ours.storage) == (theirs.algorithm, theirs.runner, theirs.storage)
    assert ours.policy.config.actor.network == theirs.policy.config.actor.network
    assert ours.policy.config.critic == theirs.policy.config.critic
