"""The largest numbers that options allow: beyond them, no tensor and no machine is large enough."""

from __future__ import annotations

import pytest

from rslcore.config import load_config
from rslcore.errors import ConfigError

LARGEST = [
    ("cartpole", "num_threads", 1024),
    ("cartpole", "env.num_envs", 10_000_000),
    ("cartpole", "runner.num_steps_per_env", 1_000_000),
    ("cartpole", "algorithm.num_learning_epochs", 10_000),
    ("cartpole", "algorithm.num_mini_batches", 10_000_000),
    ("cartpole_memory", "policy.actor.network.rnn_hidden_dim", 65_536),
    ("cartpole_memory", "policy.actor.network.rnn_num_layers", 100),
    ("halfcheetah_sac", "algorithm.num_updates", 1_000_000),
    ("halfcheetah_sac", "algorithm.batch_size", 10_000_000),
    ("halfcheetah_sac", "algorithm.num_steps", 1000),
    ("halfcheetah_sac", "policy.critic.num_critics", 1000),
]


@pytest.mark.parametrize(("recipe", "option", "largest"), LARGEST, ids=[option for _, option, _ in LARGEST])
def test_option_takes_its_largest_number_and_none_beyond(recipe, option, largest):
    load_config(recipe, [f"{option}={largest}"])
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, [f"{option}={largest + 1}"])
    (problem,) = caught.value.problems
    assert str(problem) == f"{option}: {largest + 1} is out of range, it must be in [1, {largest}]"


@pytest.mark.parametrize(
    ("recipe", "option"),
    [
        ("cartpole", "policy.actor.network.hidden_dims"),
        ("halfcheetah_sac", "policy.critic.hidden_dims"),
        ("halfcheetah_amp", "algorithm.extensions[0].hidden_dims"),
        ("pendulum_estimator", "algorithm.extensions[0].hidden_dims"),
    ],
)
def test_layers_have_a_largest_width(recipe, option):
    load_config(recipe, [f"{option}=[65536, 1]"])
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, [f"{option}=[8, 65537]"])
    (problem,) = caught.value.problems
    assert str(problem) == f"{option}: (8, 65537) is out of range, it must be in [1, 65536]"
