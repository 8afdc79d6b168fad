"""Numbers that go wrong on one of several ranks: all of them do the same."""

from __future__ import annotations

import math
from unittest import mock

import pytest
import torch
from envs import register

from rslcore.config import load_config
from rslcore.distributed import rank
from rslcore.training import train
from rslcore_ppo import objective


def run_faulty(log_root, device, *overrides):
    register()
    options = ("iterations=2", "runner.num_steps_per_env=8", "loggers=[]", "env.num_envs=2", f"device={device}")
    env = ("env.id=rslcore_tests/Faulty-v0", "env.kwargs={index: 3, step: 5}")
    learning = ("algorithm.num_mini_batches=2", "algorithm.num_learning_epochs=2")
    config = load_config("pendulum", (*options, *env, *learning, *overrides))
    return train(config, log_root=log_root, quiet=True).metrics


def test_all_ranks_stop_and_say_whose_env_it_was(two_ranks, tmp_path):
    outcomes = two_ranks.outcomes(run_faulty, str(tmp_path), two_ranks.device)
    found = "rank 1: observation group 'policy' is nan in env 1 of 2 at step 5 of 8"
    for outcome in outcomes:
        assert outcome.error.startswith(f"BadNumbersError: iteration 1: {found}, then rank 1: actions are nan in env 1")
    (path,) = tmp_path.rglob("bad_numbers_*.pt")
    saved = torch.load(path, weights_only=True)
    assert saved["rank"] == 1
    assert saved["obs"]["policy"][:, 0, 0].isnan().tolist() == [index == 5 for index in range(9)]


@pytest.mark.parametrize("mode", ["skip", "reset"])
def test_all_ranks_go_on_with_the_rows_that_are_left(two_ranks, tmp_path, mode):
    first, second = two_ranks.run(run_faulty, str(tmp_path), two_ranks.device, f"on_bad_numbers={mode}", "iterations=1")
    assert first["Watch/bad_rows"] == second["Watch/bad_rows"] == 2.0
    assert first["Loss/surrogate"] == second["Loss/surrogate"]


def run_with_a_nan_loss(log_root, device, *overrides):
    """Train, where the surrogate loss of rank 1 is no number in the third minibatch."""
    clipped_surrogate_loss = objective.clipped_surrogate_loss
    factors = iter([1.0, 1.0, math.nan if rank() == 1 else 1.0] + [1.0] * 100)

    def broken(*arguments):
        return clipped_surrogate_loss(*arguments) * next(factors)

    with mock.patch.object(objective, "clipped_surrogate_loss", broken):
        return run_faulty(log_root, device, "env.kwargs={where: none}", *overrides)


def test_a_loss_that_goes_wrong_on_one_rank_is_told_and_saved_of_this_rank(two_ranks, tmp_path):
    outcomes = two_ranks.outcomes(run_with_a_nan_loss, str(tmp_path), two_ranks.device)
    found = "iteration 1: the loss of rank 1 is nan in minibatch 3 of 4, then Loss/surrogate is nan, "
    for outcome in outcomes:
        assert outcome.error.startswith(f"BadNumbersError: {found}")
    (path,) = tmp_path.rglob("bad_numbers_*.pt")
    saved = torch.load(path, weights_only=True)
    assert saved["rank"] == 1
    assert saved["obs"]["policy"][0].shape == (2, 2)


def test_ranks_go_on_without_the_step_of_a_loss_that_goes_wrong_on_one(two_ranks, tmp_path):
    first, second = two_ranks.run(
        run_with_a_nan_loss, str(tmp_path), two_ranks.device, "on_bad_numbers=skip", "iterations=1"
    )
    assert first["Watch/skipped_steps"] == second["Watch/skipped_steps"] == 1.0
    (path,) = tmp_path.rglob("bad_numbers_*.pt")
    assert torch.load(path, weights_only=True)["rank"] == 1
