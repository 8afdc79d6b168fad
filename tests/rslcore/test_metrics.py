"""Episode statistics and the one transfer of an iteration."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rslcore.distributed import rank
from rslcore.metrics import EpisodeStatistics, Means, merge_metrics, to_floats
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
        row.extras["episode"] = {"style": torch.tensor(values), "Own/style": torch.tensor(values)}
        statistics.record(row)

    record([1.0, 10.0])
    record([2.0, 20.0], terminated=(False, True))
    collected = statistics.collect()
    assert (collected["Episode/style"], collected["Own/style"]) == (30.0, 30.0)
    statistics.record(step([0.0, 0.0]))  # a step without the channel adds nothing
    record([3.0, 99.0], terminated=(True, False), valid=(True, False))
    assert statistics.collect()["Episode/style"] == (30.0 + 6.0) / 2
    restored = EpisodeStatistics(num_envs=2, num_steps=3, device=torch.device("cpu"), window=2)
    restored.load_state_dict(statistics.state_dict())
    assert restored.collect()["Episode/style"] == 18.0


def collect_on_two_ranks():
    """Env 0 ends at every step, on rank 0 in the first iteration only; rank 1 alone has a channel."""
    statistics = EpisodeStatistics(num_envs=2, num_steps=2, device=torch.device("cpu"), window=3)
    found = []
    for iteration in range(2):
        for number in range(2):
            ends = iteration == 0 or rank() == 1
            row = step([10.0 * iteration + 2.0 * number + rank(), 0.0], terminated=(ends, False))
            if rank() == 1:
                row.extras["episode"] = {"style": torch.tensor([1.0 + number, 0.0])}
            statistics.record(row)
        found.append((list(statistics.returns), statistics.collect(), list(statistics.returns)))
    return found[0][1], found[0][2], found[1][1], found[1][2]


def test_collect_has_the_latest_episodes_of_all_ranks(two_ranks):
    first, second = two_ranks.run(collect_on_two_ranks)
    assert first == second
    # Returns 0 and 1 at the first step, 2 and 3 at the second, of which the latest three are kept; then 11 and 13.
    assert first == (
        {"Episode/style": 1.5, "Train/mean_reward": 2.0, "Train/mean_episode_length": 1.0},
        [1.0, 2.0, 3.0],
        {"Episode/style": pytest.approx(5.0 / 3.0), "Train/mean_reward": 9.0, "Train/mean_episode_length": 1.0},
        [3.0, 11.0, 13.0],
    )


def test_merged_metrics_are_means_over_the_ranks_that_have_them():
    assert merge_metrics([{"a": 1.0, "b": 2.0}, {"a": 3.0, "c": 4.0}]) == {"a": 2.0, "b": 2.0, "c": 4.0}


def test_means_weigh_what_is_a_mean_over_rows():
    means = Means()
    means.add({"loss": torch.tensor(2.0)}, torch.tensor(1.5))
    means.add({"loss": torch.tensor(5.0)})
    assert means.collect() == {"loss": 4.0}
