"""Random network distillation reads no tensor on the host by itself, with everything switched on."""

from __future__ import annotations

import functools

import pytest

from rslcore.training import train

RND = (
    "{name: rnd, state_normalization: true, reward_normalization: true, "
    "weight_schedule: {mode: linear, final_step: 20, final_value: 0.5}}"
)


# Where there are rows that are no transitions, as in CartPole, PPO finds the others twice a rollout (for minibatches
# and advantages), normalization once, and that of the states once. The run reads two sums of
# episodes, once an iteration.
@pytest.mark.parametrize(("recipe", "by_design"), [("cartpole", 4), ("pendulum", 0)])
def test_train_with_rnd_reads_a_rollout_at_most(small_config, tmp_path, count_reads, reads_of_runs, recipe, by_design):
    overrides = ("runner.num_steps_per_env=16", "algorithm.num_learning_epochs=2", "algorithm.num_mini_batches=4")
    config = small_config(*overrides, f"algorithm.extensions=[{RND}]", recipe=recipe)
    run = functools.partial(train, config, log_root=tmp_path, quiet=True)
    run()  # torch itself reads a scalar once, when some of its parts are first used
    assert count_reads(run) == reads_of_runs(2, 16) + 2 * (by_design + 2)
