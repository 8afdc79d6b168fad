"""Episode statistics and the one transfer of an iteration."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rslcore.metrics import EpisodeStatistics, to_floats
from rslcore.protocols import EnvStep


def step(rewards, terminated=(False, False), truncated=(False, False), valid=None, log=None):
    return EnvStep(
        obs=TensorDict({}, batch_size=[2]),
        rewards=torch.tensor(rewards),
        terminated=torch.tensor(terminated),
        truncated=torch.tensor(truncated),
        valid=None if valid is None else torch.tensor(valid),
        extras={} if log is None else {"log": log},
    )


@pytest.fixture
def statistics():
    return EpisodeStatistics(num_envs=2, num_steps=3, device=torch.device("cpu"), window=2)


def test_to_floats_keeps_order_and_values():
    assert to_floats({"a": torch.tensor(1.5), "b": 2, "c": torch.tensor([3.0])[0]}) == {"a": 1.5, "b": 2.0, "c": 3.0}


def test_collect_without_an_ended_episode_has_no_reward(statistics):
    statistics.record(step([1.0, 1.0]))
    assert statistics.collect() == {}


def test_collect_sums_across_iterations_and_resets_on_done(statistics):
    statistics.record(step([1.0, 10.0]))
    statistics.record(step([2.0, 20.0], terminated=(False, True)))
    assert statistics.collect() == {"Train/mean_reward": 30.0, "Train/mean_episode_length": 2.0}
    statistics.record(step([3.0, 5.0], truncated=(True, True)))
    # The window holds the latest two: 1 + 2 + 3 over three steps, and 5 over one.
    assert statistics.collect() == {"Train/mean_reward": 5.5, "Train/mean_episode_length": 2.0}


def test_collect_leaves_invalid_rows_out(statistics):
    statistics.record(step([1.0, 0.0], valid=(True, False)))
    statistics.record(step([1.0, 7.0], terminated=(True, True)))
    assert list(statistics.collect().values()) == [4.5, 1.5]


def test_collect_averages_what_the_env_logs(statistics):
    statistics.record(step([0.0, 0.0], log={"reward/speed": torch.tensor([1.0, 3.0]), "height": 1}))
    statistics.record(step([0.0, 0.0], log={"reward/speed": torch.tensor(4.0), "height": 2}))
    assert statistics.collect() == {"reward/speed": 3.0, "Episode/height": 1.5}
    assert statistics.collect() == {}


def test_state_round_trip_keeps_the_window(statistics):
    statistics.record(step([4.0, 0.0], terminated=(True, False)))
    before = statistics.collect()
    restored = EpisodeStatistics(num_envs=2, num_steps=3, device=torch.device("cpu"), window=2)
    restored.load_state_dict(statistics.state_dict())
    assert restored.collect() == before


def test_collect_sums_channels_over_episodes(statistics):
    def record(values, **ended):
        row = step([0.0, 0.0], **ended)
        row.extras["episode"] = {"style": torch.tensor(values)}
        statistics.record(row)

    record([1.0, 10.0])
    record([2.0, 20.0], terminated=(False, True))
    assert statistics.collect()["Episode/style"] == 30.0
    statistics.record(step([0.0, 0.0]))  # a step without the channel adds nothing
    record([3.0, 99.0], terminated=(True, False), valid=(True, False))
    assert statistics.collect()["Episode/style"] == (30.0 + 6.0) / 2
    restored = EpisodeStatistics(num_envs=2, num_steps=3, device=torch.device("cpu"), window=2)
    restored.load_state_dict(statistics.state_dict())
    assert restored.collect()["Episode/style"] == 18.0
