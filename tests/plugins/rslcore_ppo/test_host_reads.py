"""No tensor is read on the host per env step or per minibatch."""

from __future__ import annotations

import functools

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from rslcore.training import train


def count_reads(function):
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        function()
    return sum(event.count for event in profiler.events() if event.key == "aten::_local_scalar_dense")


@pytest.mark.parametrize("recipe", ["cartpole", "pendulum"])
def test_train_reads_no_tensor_on_the_host(small_config, tmp_path, recipe):
    config = small_config(
        "runner.num_steps_per_env=16", "policy.actor.network.normalize=true", "loggers=[{name: console}]", recipe=recipe
    )
    run = functools.partial(train, config, log_root=tmp_path, quiet=True)
    run()  # torch itself reads a scalar once, when some of its parts are first used
    # 2 iterations of 16 steps and 20 or more minibatches: a read in any of them would be counted.
    assert count_reads(run) == 0


def test_count_reads_sees_a_read():
    assert count_reads(lambda: torch.ones(3).sum().item()) == 1
