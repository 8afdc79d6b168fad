"""No tensor is read on the host per env step or per minibatch."""

from __future__ import annotations

import functools

import pytest
import torch

from rslcore.training import train
from rslcore_rollout.storage import RolloutStorage


@pytest.mark.parametrize("recipe", ["cartpole", "pendulum"])
def test_train_reads_no_tensor_on_the_host(small_config, tmp_path, count_reads, recipe):
    overrides = ("runner.num_steps_per_env=16", "policy.actor.network.normalize=true", "loggers=[{name: console}]")
    overrides += ("algorithm.num_learning_epochs=2", "algorithm.num_mini_batches=4")
    config = small_config(*overrides, recipe=recipe)
    run = functools.partial(train, config, log_root=tmp_path, quiet=True)
    run()  # torch itself reads a scalar once, when some of its parts are first used
    # 2 iterations of 16 steps and 8 minibatches: a read in any of them would be counted.
    assert count_reads(run) == 0


@pytest.mark.parametrize("recipe", ["cartpole", "pendulum"])
def test_train_a_recurrent_policy_reads_a_rollout_once(small_config, tmp_path, count_reads, monkeypatch, recipe):
    # No scalar is read, and the ends of episodes, by which sequences are split, are read whole once a rollout, not once
    # a minibatch. (On a CPU, NumPy looks at them in place, so this counts how often it is asked for them.)
    looked_at = []
    read = RolloutStorage._on_host.func
    on_host = functools.cached_property(lambda storage: looked_at.append(storage) or read(storage))
    on_host.__set_name__(RolloutStorage, "_on_host")
    monkeypatch.setattr(RolloutStorage, "_on_host", on_host)
    network = "{name: lstm, rnn_hidden_dim: 8, hidden_dims: [8], normalize: true}"
    overrides = (f"policy.actor.network={network}", f"policy.critic.network={network}")
    overrides += ("algorithm.num_learning_epochs=2", "algorithm.num_mini_batches=4", "runner.num_steps_per_env=16")
    run = functools.partial(train, small_config(*overrides, recipe=recipe), log_root=tmp_path, quiet=True)
    run()
    looked_at.clear()
    assert count_reads(run) == 0
    assert len(looked_at) == 2  # iterations, of 16 steps and 8 minibatches each


def test_count_reads_sees_a_read(count_reads):
    assert count_reads(lambda: torch.ones(3).sum().item()) == 1


def test_count_reads_sees_those_of_torchs_adam(count_reads):
    # One a parameter and step, in the fastest of its implementations: why rslcore has its own.
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter], fused=True)
    parameter.sum().backward()
    assert count_reads(optimizer.step) == 1
