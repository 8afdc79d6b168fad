"""No tensor is read on the host per env step or per minibatch."""

from __future__ import annotations

import functools

import numpy
import pytest
import torch

from rslcore.training import train
from rslcore_rollout.storage import RolloutStorage


# What an update reads once a rollout is there by design. CartPole resets in a step of its own, so that there are rows
# that are no transitions: minibatches, advantages and normalization each find the others once.
@pytest.mark.parametrize(("recipe", "by_design"), [("cartpole", 3), ("pendulum", 0)])
def test_train_reads_a_rollout_at_most(small_config, tmp_path, count_reads, reads_of_runs, recipe, by_design):
    overrides = ("runner.num_steps_per_env=16", "policy.actor.network.normalize=true", "loggers=[{name: console}]")
    overrides += ("algorithm.num_learning_epochs=2", "algorithm.num_mini_batches=4")
    config = small_config(*overrides, recipe=recipe)
    run = functools.partial(train, config, log_root=tmp_path, quiet=True)
    run()  # torch itself reads a scalar once, when some of its parts are first used
    # 2 iterations of 16 steps and 8 minibatches: a read in any of them would be counted.
    assert count_reads(run) == reads_of_runs(2, 16) + 2 * by_design


# The ends of episodes, the states of envs that go on, and for CartPole the rows that are transitions, as above and by
# which sequences are split.
@pytest.mark.parametrize(("recipe", "by_design"), [("cartpole", 5), ("pendulum", 2)])
def test_train_a_recurrent_policy_reads_a_rollout_once(
    small_config, tmp_path, count_reads, reads_of_runs, monkeypatch, recipe, by_design
):
    # The ends of episodes, by which sequences are split, are read whole once a rollout, not once a minibatch.
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
    # The envs of each of the 8 minibatches are drawn on the host, where sequences are split: no GPU is waited for.
    assert count_reads(run) == reads_of_runs(2, 16) + 2 * (by_design + 8)
    assert len(looked_at) == 2  # iterations, of 16 steps and 8 minibatches each


def test_count_reads_sees_a_read(count_reads):
    assert count_reads(lambda: torch.ones(3).sum().item()) == 1


@pytest.mark.parametrize(
    ("read", "count"),
    [
        (lambda x: x[x > 1], 1),
        (lambda x: (x > 1).nonzero(), 1),
        (lambda x: torch.where(x > 1), 1),
        (lambda x: x.masked_select(x > 1), 1),
        (lambda x: x.unique(), 1),
        (lambda x: torch.equal(x, x), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x.cpu().numpy().tolist(), 1),
        (lambda x: x.to("cpu")[0].item(), 1),
        (lambda x: numpy.asarray(x), 1),
        (lambda x: [float(each) for each in x], 3),
        (lambda x: x.cpu().to(x.device).sum().item(), 2),
        (lambda x: torch.where(x > 1, x, -x), 0),
        (lambda x: x.to(x.device).double(), 0),
    ],
)
def test_count_reads_sees_each_once(count_reads, read, count):
    x = torch.arange(3.0)
    assert count_reads(lambda: read(x)) == count


def test_count_reads_sees_those_of_torchs_adam(count_reads):
    # One a parameter and step, in the fastest of its implementations: why rslcore has its own.
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter], fused=True)
    parameter.sum().backward()
    assert count_reads(optimizer.step) == 1
