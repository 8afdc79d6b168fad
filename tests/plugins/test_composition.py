"""Extensions of several plugins in one run: they learn together, and go on together where a run was stopped."""

from __future__ import annotations

import numpy
import pytest
from resuming import assert_same, run

from rslcore.config import evolve

LOSSES = {"Loss/amp", "Loss/amp_gradient_penalty", "Loss/estimator", "Loss/rnd"}


@pytest.fixture
def config(small_config, tmp_path):
    """A run with a motion prior, an estimator and a reward for what is new, in episodes that begin at random."""
    frames = numpy.random.default_rng(0).normal(size=(12, 1)).astype(numpy.float32)
    motions = tmp_path / "motions.npz"
    numpy.savez(motions, **{"num_frames": numpy.array([12]), "obs/policy": frames})
    extensions = [
        f"{{name: amp, motions: {motions}, hidden_dims: [8], replay_size: 64}}",
        "{name: estimator, hidden_dims: [8], loss: variational}",
        "{name: rnd, reward_normalization: true, state_normalization: true}",
    ]
    return small_config(
        "env.kwargs={max_episode_steps: 5}",
        "env.groups={policy: [0], privileged: [1, 2]}",
        "policy.actor.network.groups=[policy, estimate]",
        "algorithm.num_mini_batches=4",
        "algorithm.num_learning_epochs=2",
        "algorithm.schedule=adaptive",
        f"algorithm.extensions=[{', '.join(extensions)}]",
        "runner.init_at_random_ep_len=true",
        recipe="pendulum",
    )


def test_extensions_with_losses_fields_optimizers_and_rewards_resume_as_if_uninterrupted(config, tmp_path):
    whole = run(evolve(config, iterations=6), tmp_path)
    assert set(whole.result.metrics) >= {
        *LOSSES,
        "AMP/style_reward",
        "Rnd/weight",
        "Episode/amp_style_return",
    }
    assert set(whole.checkpoint.algorithm["modules"]) == {"policy", "amp", "estimator", "rnd"}
    stopped = run(evolve(config, iterations=3), tmp_path)
    resumed = run(evolve(config, iterations=6), tmp_path, resume=stopped.path)
    assert_same(whole, stopped, resumed)
