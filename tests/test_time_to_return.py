"""The timed envs and the arithmetic of `tests/benchmarks/time_to_return.py`, without the other libraries."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import attrs
import numpy
import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import time_to_return
from timed_envs import TASKS, Stop, TimedEnvs, make_timed_envs


def push_right(envs, num_steps):
    """Steps with action 1 everywhere, after which a pole falls within some ten steps."""
    return [envs.step(numpy.ones(envs.num_envs, dtype=numpy.int64)) for _ in range(num_steps)]


def test_a_vectorised_cartpole_resets_at_once():
    envs = make_timed_envs("cartpole", 4)
    envs.reset(seed=1)
    for obs, rewards, terminated, truncated, infos in push_right(envs, 30):
        ended = terminated | truncated
        assert (rewards == 1.0).all()
        assert (abs(obs[ended]) <= 0.05).all()
        if ended.any():
            assert (infos["_final_obs"] == ended).all()
            assert (abs(infos["final_obs"][ended, 2]) > 0.2).all()


@pytest.mark.parametrize("resets_at_once", [True, False])
def test_the_mean_is_of_whole_episodes(resets_at_once):
    envs = make_timed_envs("cartpole", 4, resets_at_once)
    envs.reset(seed=1)
    envs.start()
    push_right(envs, 40)
    assert all(8.0 <= mean_return <= 11.0 for _, _, _, mean_return in envs.rows)
    assert envs.rows[-1][2] <= envs.steps == 160


def test_the_training_stops_at_the_target(monkeypatch):
    monkeypatch.setitem(TASKS, "cartpole", attrs.evolve(TASKS["cartpole"], target=8.0, window=5))
    envs = make_timed_envs("cartpole", 4)
    envs.reset(seed=1)
    with pytest.raises(Stop):
        push_right(envs, 100)
    assert envs.reached
    assert envs.rows[-1][3] >= 8.0


def test_the_training_is_given_up(monkeypatch):
    monkeypatch.setitem(TASKS, "cartpole", attrs.evolve(TASKS["cartpole"], max_steps=100))
    envs = make_timed_envs("cartpole", 4)
    envs.reset(seed=1)
    with pytest.raises(Stop):
        push_right(envs, 100)
    assert not envs.reached
    assert envs.steps == 100


def test_episodes_of_a_fixed_length_end_one_after_the_other():
    pytest.importorskip("mujoco")
    envs = make_timed_envs("halfcheetah", 4)
    envs.reset(seed=1)
    for _ in range(501):
        envs.step(numpy.full((4, 6), 5.0))
    assert [steps // 4 for _, _, steps, _ in envs.rows] == [250, 500]


def test_the_recipe_trains_in_timed_envs(monkeypatch, tmp_path):
    monkeypatch.setitem(TASKS, "cartpole", attrs.evolve(TASKS["cartpole"], target=15.0, window=10))
    time_to_return.train("cartpole", "rslcore", 1, tmp_path, ())
    (run,) = time_to_return.load(tmp_path)["cartpole"]["rslcore"]
    assert run["reached"]
    assert run["steps"] == TimedEnvs.latest.steps
    assert run["curve"]["mean_return"][-1] == run["mean_return"] >= 15.0
    assert 0.0 < run["seconds"] == run["curve"]["seconds"][-1]


def result(library, seed, seconds, reached=True):
    curve = {"seconds": [seconds], "cpu_seconds": [seconds], "steps": [100], "mean_return": [1.0]}
    named = {"task": "cartpole", "library": library, "seed": seed, "version": "1", "reached": reached}
    return {**named, "seconds": seconds, "cpu_seconds": seconds, "steps": 100, "mean_return": 1.0, "curve": curve}


def test_a_run_that_does_not_get_there_counts_as_longest():
    runs = [result("skrl", 1, 5.0), result("skrl", 2, 1.0, reached=False), result("skrl", 3, 3.0)]
    numbers = time_to_return.summary(runs)
    assert (numbers["reached"], numbers["runs"]) == (2, 3)
    assert (numbers["least_seconds"], numbers["median_seconds"]) == (3.0, 5.0)
    assert math.isinf(numbers["most_seconds"])


def test_the_table_has_ratios_to_ours_and_the_file_no_infinity():
    runs = {"cartpole": {"rslcore": [result("rslcore", 1, 2.0)], "skrl": [result("skrl", 1, 5.0)]}}
    assert "| cartpole | skrl 1 | 1 of 1 | 5.0 (5.0 to 5.0) | 2.50 | 5.0 | 2.50 | 100 | 20 |" in time_to_return.table(
        runs
    )
    runs["cartpole"]["skrl"][0]["reached"] = False
    merged = time_to_return.merged(runs)
    json.dumps(merged, allow_nan=False)
    assert merged["tasks"]["cartpole"]["libraries"]["skrl"]["median_seconds"] is None
