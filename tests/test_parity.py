"""The files and the arithmetic of `tests/benchmarks/learning_parity.py`, without rsl-rl-lib."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from rslcore.config import load_config

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from curves import Curve, difference, load_curves, mean_and_half_width, save_curve
from peer_config import to_rsl_rl

BENCHMARKS = Path(__file__).parent / "benchmarks"
FILES = sorted((BENCHMARKS / "parity_tasks").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_task_is_one_of_rsl_rl_too(path):
    config = load_config(path)
    peer = to_rsl_rl(config)
    assert peer["algorithm"]["gamma"] == config.algorithm.config.gamma
    assert peer["actor"]["hidden_dims"] == list(config.policy.config.actor.network.config.hidden_dims)
    assert "distribution_cfg" not in peer["critic"]


@pytest.mark.parametrize(
    "override",
    [
        "policy.actor.network.init=orthogonal",
        "policy.actor.network.output_scale=0.01",
        "policy.actor.distribution={name: beta}",
        "algorithm.normalize_advantage=none",
    ],
)
def test_what_rsl_rl_does_not_have_is_an_error(override):
    config = load_config(BENCHMARKS / "parity_tasks" / "pendulum.yaml", [override])
    with pytest.raises(ValueError, match="rsl_rl"):
        to_rsl_rl(config)


def test_a_curve_comes_back(tmp_path):
    curve = Curve("task", "ours", 2, seconds=1.5)
    curve.add(10, None)
    for point in range(2, 21):
        curve.add(10 * point, float(point))
    save_curve(tmp_path, curve)
    save_curve(tmp_path, Curve("task", "ours_rsl_rl", 1))
    (loaded,) = load_curves(tmp_path, "task", "ours")
    assert math.isnan(loaded.returns[0])
    assert loaded.steps == curve.steps
    assert loaded.final_return() == 19.5


def test_the_interval_is_students():
    mean, half = mean_and_half_width([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == 3.0
    assert half == pytest.approx(2.776 * math.sqrt(2.5 / 5))


def test_a_difference_has_the_wider_interval():
    gap, half = difference([1.0, 2.0, 3.0], [5.0, 6.0, 7.0, 8.0])
    assert gap == -4.5
    assert half == pytest.approx(4.303 * math.sqrt(1.0 / 3 + (5 / 3) / 4))
