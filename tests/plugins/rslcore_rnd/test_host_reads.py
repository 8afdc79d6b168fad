"""Random network distillation reads no tensor on the host, with everything switched on."""

from __future__ import annotations

import functools

import pytest

from rslcore.training import train

RND = (
    "{name: rnd, state_normalization: true, reward_normalization: true, "
    "weight_schedule: {mode: linear, final_step: 20, final_value: 0.5}}"
)


@pytest.mark.parametrize("recipe", ["cartpole", "pendulum"])
def test_train_with_rnd_reads_no_tensor_on_the_host(small_config, tmp_path, count_reads, recipe):
    overrides = ("runner.num_steps_per_env=16", "algorithm.num_learning_epochs=2", "algorithm.num_mini_batches=4")
    config = small_config(*overrides, f"algorithm.extensions=[{RND}]", recipe=recipe)
    run = functools.partial(train, config, log_root=tmp_path, quiet=True)
    run()  # torch itself reads a scalar once, when some of its parts are first used
    assert count_reads(run) == 0
