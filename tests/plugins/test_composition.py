"""Extensions of several plugins in one run: they learn together, and go on together where a run was stopped."""

from __future__ import annotations

import numpy
import pytest
import torch

from rslcore.run.checkpoint import load_checkpoint
from rslcore.training import train

LOSSES = {"Loss/amp", "Loss/amp_gradient_penalty", "Loss/estimator", "Loss/rnd"}


@pytest.fixture
def run(small_config, tmp_path):
    """A run with a motion prior, an estimator and a reward for what is new, in episodes of as many steps as a rollout.

    The env begins every episode alike, so that a resumed run meets what it would have met.
    """
    frames = numpy.random.default_rng(0).normal(size=(12, 1)).astype(numpy.float32)
    motions = tmp_path / "motions.npz"
    numpy.savez(motions, **{"num_frames": numpy.array([12]), "obs/policy": frames})
    extensions = [
        f"{{name: amp, motions: {motions}, hidden_dims: [8], replay_size: 64}}",
        "{name: estimator, hidden_dims: [8], loss: variational}",
        "{name: rnd, reward_normalization: true, state_normalization: true}",
    ]

    def train_for(iterations, resume=None):
        config = small_config(
            "env.id=rslcore_tests/Spring-v0",
            "env.groups={policy: [0], privileged: [1]}",
            "policy.actor.network.groups=[policy, estimate]",
            "algorithm.num_mini_batches=4",
            "algorithm.num_learning_epochs=2",
            "algorithm.schedule=adaptive",
            f"algorithm.extensions=[{', '.join(extensions)}]",
            "runner.save_interval=1",
            f"iterations={iterations}",
            recipe="pendulum",
        )
        return train(config, log_root=tmp_path / "logs", quiet=True, resume=resume)

    return train_for


def without_times(metrics):
    return {name: value for name, value in metrics.items() if not name.startswith("Perf/")}


def assert_equal(ours, theirs, path=""):
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), path
        for key in ours:
            assert_equal(ours[key], theirs[key], f"{path}/{key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), path
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(*pair, f"{path}/{index}")
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), path
    else:
        assert ours == theirs, path


def test_extensions_with_losses_fields_optimizers_and_rewards_resume_as_if_uninterrupted(run):
    whole = run(6)
    assert set(whole.metrics) >= {*LOSSES, "AMP/style_reward", "RND/mean_intrinsic_reward", "Episode/amp_style_return"}
    stopped = run(3)
    resumed = run(6, resume=stopped.path)
    assert resumed.path == stopped.path
    assert without_times(resumed.metrics) == without_times(whole.metrics)
    states = [load_checkpoint(result.path / "model_6.pt").algorithm for result in (whole, resumed)]
    assert_equal(*states)
    assert set(states[0]["modules"]) == {"policy", "amp", "estimator", "rnd"}
