"""No tensor is read on the host per env step or per minibatch."""

from __future__ import annotations

import pytest
import torch
from rslcore.training import train
from torch.profiler import ProfilerActivity, profile


def count_reads(config, tmp_path):
    """Host reads of one iteration after a first one, in which everything is allocated."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        train(config, log_root=tmp_path, quiet=True)
    return sum(event.count for event in profiler.key_averages() if event.key == "aten::_local_scalar_dense")


@pytest.mark.filterwarnings("ignore::UserWarning:torch.profiler", "ignore:.*FLOPs.*:UserWarning")
@pytest.mark.parametrize("recipe", ["cartpole", "pendulum"])
def test_train_reads_as_often_for_many_steps_and_minibatches_as_for_few(small_config, tmp_path, recipe):
    few = small_config("runner.num_steps_per_env=4", "algorithm.num_mini_batches=1", recipe=recipe)
    many = small_config(
        "runner.num_steps_per_env=64", "algorithm.num_mini_batches=16", "algorithm.num_learning_epochs=9", recipe=recipe
    )
    assert count_reads(few, tmp_path) == count_reads(many, tmp_path)


def test_count_reads_sees_a_read():
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        torch.ones(1).item()
    assert "aten::_local_scalar_dense" in {event.key for event in profiler.key_averages()}
