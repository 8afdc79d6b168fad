"""No tensor is read on the host per env step or per minibatch."""

from __future__ import annotations

import functools

import pytest
import torch

from rslcore.training import train


@pytest.mark.parametrize("recipe", ["cartpole", "pendulum"])
def test_train_reads_no_tensor_on_the_host(small_config, tmp_path, count_reads, recipe):
    overrides = ("runner.num_steps_per_env=16", "policy.actor.network.normalize=true", "loggers=[{name: console}]")
    overrides += ("algorithm.num_learning_epochs=2", "algorithm.num_mini_batches=4")
    config = small_config(*overrides, recipe=recipe)
    run = functools.partial(train, config, log_root=tmp_path, quiet=True)
    run()  # torch itself reads a scalar once, when some of its parts are first used
    # 2 iterations of 16 steps and 8 minibatches: a read in any of them would be counted.
    assert count_reads(run) == 0


def test_count_reads_sees_a_read(count_reads):
    assert count_reads(lambda: torch.ones(3).sum().item()) == 1


def test_count_reads_sees_those_of_torchs_adam(count_reads):
    # One a parameter and step, in the fastest of its implementations: why rslcore has its own.
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter], fused=True)
    parameter.sum().backward()
    assert count_reads(optimizer.step) == 1
