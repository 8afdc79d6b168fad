"""Losses against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rslcore_ppo.losses import (
    adapt_learning_rate,
    clipped_surrogate_loss,
    clipped_value_loss,
    estimated_kl,
    value_loss,
)


def test_clipped_surrogate_loss_by_hand():
    # min(1.5*2, 1.2*2) = 2.4; min(0.5*2, 0.8*2) = 1; min(1.5*-1, 1.2*-1) = -1.5; min(0.5*-1, 0.8*-1) = -0.8
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5])
    advantages = torch.tensor([2.0, 2.0, -1.0, -1.0])
    torch.testing.assert_close(clipped_surrogate_loss(ratio, advantages, 0.2), torch.tensor(-(2.4 + 1 - 1.5 - 0.8) / 4))


def test_clipped_surrogate_loss_has_no_gradient_where_clipped():
    ratio = torch.tensor([1.5, 1.1], requires_grad=True)
    clipped_surrogate_loss(ratio, torch.tensor([1.0, 1.0]), 0.2).backward()
    torch.testing.assert_close(ratio.grad, torch.tensor([0.0, -0.5]))


def test_value_loss_by_hand():
    torch.testing.assert_close(value_loss(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 5.0])), torch.tensor(2.5))


def test_clipped_value_loss_by_hand():
    # V = 3, V_old = 1, R = 5: unclipped 4, clipped 1.2: (1.2 - 5)^2 = 14.44, the larger
    # V = 3, V_old = 1, R = 1: unclipped 4, clipped (1.2 - 1)^2 = 0.04; the larger is 4
    loss = clipped_value_loss(torch.tensor([3.0, 3.0]), torch.tensor([1.0, 1.0]), torch.tensor([5.0, 1.0]), 0.2)
    torch.testing.assert_close(loss, torch.tensor((14.44 + 4.0) / 2))


def test_clipped_value_loss_stops_pulling_once_moved():
    values = torch.tensor([3.0], requires_grad=True)
    clipped_value_loss(values, torch.tensor([1.0]), torch.tensor([5.0]), 0.2).backward()
    torch.testing.assert_close(values.grad, torch.tensor([0.0]))


@pytest.mark.parametrize(
    ("kl", "rate", "expected"),
    [
        (0.021, 1e-3, 1e-3 / 1.5),
        (0.019, 1e-3, 1e-3),
        (0.006, 1e-3, 1e-3),
        (0.004, 1e-3, 1.5e-3),
        (0.0, 1e-3, 1e-3),
        (1.0, 1.2e-5, 1e-5),
        (0.001, 9e-3, 1e-2),
    ],
)
def test_adapt_learning_rate_by_hand(kl, rate, expected):
    learning_rate = torch.tensor(rate)
    adapt_learning_rate(learning_rate, torch.tensor(kl), 0.01)
    torch.testing.assert_close(learning_rate, torch.tensor(expected))


@pytest.mark.parametrize("loss", [value_loss, lambda a, b: clipped_surrogate_loss(a, b, 0.2)])
def test_loss_of_unequal_shapes_is_refused(loss):
    with pytest.raises(ValueError, match=r"^all should be of one shape \[B\], got .*\[2, 1\]"):
        loss(torch.zeros(2, 1), torch.zeros(2))


def test_estimated_kl_is_the_ratio_less_one_less_its_logarithm():
    ratio = torch.tensor([1.0, 2.0, 0.5])
    expected = torch.tensor([0.0, 2.0 - 1.0 - math.log(2.0), 0.5 - 1.0 + math.log(2.0)])
    torch.testing.assert_close(estimated_kl(ratio.log()), expected)


def test_estimated_kl_of_two_gaussians_is_near_their_kl_divergence():
    torch.manual_seed(0)
    old, new = torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(0.3, 1.2)
    actions = old.sample((200_000,))
    estimate = estimated_kl(new.log_prob(actions) - old.log_prob(actions)).mean()
    assert estimate.item() == pytest.approx(torch.distributions.kl_divergence(old, new).item(), rel=0.02)
