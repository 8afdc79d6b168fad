"""N envs of one process, and the same ones spread over several, give the same update to rounding."""

from __future__ import annotations

import numpy
import pytest
import shards
import torch

RECURRENT = (
    "policy.actor.network={name: lstm, rnn_hidden_dim: 4, hidden_dims: [8], normalize: true}",
    "policy.critic.network={name: gru, rnn_hidden_dim: 4, hidden_dims: [8], normalize: true}",
)
RND = "{name: rnd, reward_normalization: true, state_normalization: true}"
SYMMETRY = "{name: symmetry, function: 'shards:mirrored', use_data_augmentation: true, use_mirror_loss: true}"
ESTIMATOR = (
    "algorithm.extensions=[{name: estimator, hidden_dims: [8]}]",
    "policy.actor.network.groups=[policy, estimate]",
)
DISTILLATION = (
    "policy={{name: student_teacher, student: {{network: {network}, distribution: {{name: shared, init_std: 0.5}}}}, "
    "teacher: {{run: {teacher}}}}}"
)
CASES = {
    "ppo": (),
    "ppo_fixed_sgd": ("algorithm.optimizer=sgd", "algorithm.learning_rate=0.05", "algorithm.schedule=fixed"),
    "ppo_minibatch_advantages": ("algorithm.normalize_advantage=minibatch", "env.uneven=true"),
    "recurrent": (*RECURRENT, "env.uneven=true"),
    "rnd_symmetry": (f"algorithm.extensions=[{RND}, {SYMMETRY}]", "env.uneven=true"),
    "recurrent_rnd_symmetry": (*RECURRENT, f"algorithm.extensions=[{RND}, {SYMMETRY}]"),
    "estimator": (*ESTIMATOR, "env.uneven=true"),
    "own_optimizers": ("algorithm.extensions=[{name: own_optimizer}, {name: apart}]",),
    "distillation": (
        "{name: mlp, hidden_dims: [8], normalize: true}",
        "algorithm={name: distillation, learning_rate: 1e-2, gradient_length: 3}",
        "env.uneven=true",
    ),
    "recurrent_distillation": (
        "{name: gru, rnn_hidden_dim: 4, hidden_dims: [8], normalize: true}",
        "algorithm={name: distillation, learning_rate: 1e-2, gradient_length: 3}",
    ),
}
TOLERANCE = 2e-6
"""Of the largest number of a tensor. Single precision rounds to 6e-8 of a number, and sums are made in other orders."""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    path, _ = shards.run((), str(tmp_path_factory.mktemp("teacher")))
    return path


@pytest.fixture
def overrides(request, teacher):
    if "distillation" not in request.param:
        return CASES[request.param]
    network, *others = CASES[request.param]
    return (DISTILLATION.format(network=network, teacher=teacher), *others)


def largest_difference(whole, parts):
    """Between two runs, relative to the largest number of each tensor, and of which one."""
    assert whole.keys() == parts.keys()
    found = []
    for path, value in whole.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel():
            gap = (value - parts[path]).abs().max() / value.abs().max().clamp(min=1e-12)
            found.append((gap.item(), path))
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, parts[path]), path
        else:
            assert value == parts[path], path
    return max(found)


def check(pool, overrides, log_root):
    whole, expected = shards.run(overrides, str(log_root / "1"))
    ranks = pool.run(shards.run, overrides, str(log_root / f"{pool.num_ranks}"), pool.device)
    paths, metrics = zip(*ranks, strict=True)
    assert len(set(paths)) == 1
    assert all(each == metrics[0] for each in metrics)
    gap, where = largest_difference(shards.final_state(whole), shards.final_state(paths[0]))
    assert gap < TOLERANCE, where
    assert metrics[0] == pytest.approx(expected, rel=1e-4, abs=2e-6)
    assert {"Train/mean_reward", "Train/mean_episode_length", "Episode/energy", "shards/state"} < set(expected)
    return gap


@pytest.mark.parametrize("overrides", CASES, indirect=True)
def test_two_ranks_learn_what_one_process_learns(two_ranks, overrides, tmp_path):
    gap = check(two_ranks, overrides, tmp_path)
    print(f"ranks compared: 1 and 2, largest relative difference {gap:.1e}")


@pytest.mark.parametrize("overrides", ["ppo", "recurrent_rnd_symmetry"], indirect=True)
def test_four_ranks_learn_what_one_process_learns(four_ranks, overrides, tmp_path):
    gap = check(four_ranks, overrides, tmp_path)
    print(f"ranks compared: 1 and 4, largest relative difference {gap:.1e}")


def amp(path):
    frames = numpy.random.default_rng(0).normal(size=(13, 3)).astype(numpy.float32)
    numpy.savez(path, **{"num_frames": numpy.array([13]), "obs/policy": frames})
    return (f"algorithm.extensions=[{{name: amp, motions: {path}, hidden_dims: [8], replay_size: 64}}]",)


def test_statistics_of_amp_begin_with_all_motions(four_ranks, tmp_path):
    overrides = (*amp(tmp_path / "motions.npz"), "iterations=1")
    whole, _ = shards.run(overrides, str(tmp_path / "1"))
    parts = four_ranks.run(shards.run, overrides, str(tmp_path / "4"), four_ranks.device)[0][0]
    counts = [shards.final_state(path, 1)["/modules/amp/module/normalizer.count"] for path in (whole, parts)]
    # 12 pairs, and as many of the reference as of the rollout.
    assert counts[0] == counts[1] > 12 + 64
