"""The runner `on_policy` on real envs."""

from __future__ import annotations

import pytest

from rslcore.errors import ConfigError
from rslcore.training import train


@pytest.mark.parametrize("spread", [False, True])
def test_init_at_random_ep_len_spreads_the_first_ends(small_config, tmp_path, spread):
    # Pendulum never ends but by its limit, here of 6 steps; 16 of its envs are stepped 5 times.
    overrides = ("env.kwargs={max_episode_steps: 6}", "env.num_envs=16", "runner.num_steps_per_env=5", "iterations=1")
    overrides += ("algorithm.num_mini_batches=1", f"runner.init_at_random_ep_len={spread}")
    result = train(small_config(*overrides, recipe="pendulum"), log_root=tmp_path, quiet=True)
    lengths = [value for name, value in result.metrics.items() if name.endswith("episode_length")]
    assert bool(lengths) == spread
    assert all(1.0 <= length <= 5.0 for length in lengths)


def test_init_at_random_ep_len_of_an_env_that_cannot_is_refused(small_config, tmp_path, monkeypatch):
    monkeypatch.delattr("rslcore_gymnasium.env.GymnasiumEnv.randomize_episode_steps")
    with pytest.raises(ConfigError) as caught:
        train(small_config("runner.init_at_random_ep_len=true"), log_root=tmp_path, quiet=True)
    assert str(caught.value) == "runner.init_at_random_ep_len: env 'gymnasium' cannot begin inside of an episode"
    assert not list(tmp_path.iterdir())


def test_init_at_random_ep_len_without_a_limit_is_refused(small_config, tmp_path):
    overrides = ("runner.init_at_random_ep_len=true", "env.kwargs={max_episode_steps: -1}")
    with pytest.raises(ConfigError) as caught:
        train(small_config(*overrides, recipe="pendulum"), log_root=tmp_path, quiet=True)
    assert str(caught.value) == "runner.init_at_random_ep_len: 'Pendulum-v1' has no limit of steps to be random below"
    assert not list(tmp_path.iterdir())
