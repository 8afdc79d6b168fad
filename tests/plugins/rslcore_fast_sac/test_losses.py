"""Targets, losses and the squashed Gaussian, against numbers computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rslcore_fast_sac.losses import actor_loss, critic_loss, soft_values, temperature_loss
from rslcore_fast_sac.squashed_gaussian import MAX_LOG_STD, MIN_LOG_STD, log_density, sample, split_outputs

Q_VALUES = torch.tensor([[1.0, 4.0], [3.0, 2.0]])
LOG_PROB = torch.tensor([-1.0, 2.0])
TEMPERATURE = torch.tensor(0.5)


def test_soft_values_are_those_of_the_most_careful_critic_plus_entropy():
    assert soft_values(Q_VALUES, LOG_PROB, TEMPERATURE).tolist() == [1.5, 1.0]


def test_actor_loss_is_minus_the_mean_soft_value():
    assert actor_loss(Q_VALUES, LOG_PROB, TEMPERATURE).item() == -1.25


def test_critic_loss_is_half_the_squared_error_of_each_critic():
    # Errors (1, 3) and (3, 1): each critic's mean square is 5.
    assert critic_loss(Q_VALUES, torch.tensor([0.0, 1.0])).item() == 5.0


@pytest.mark.parametrize(("target_entropy", "sign"), [(0.0, 1.0), (-1.0, -1.0)])
def test_temperature_rises_below_the_target_entropy_and_falls_above(target_entropy, sign):
    log_temperature = torch.tensor(2.0, requires_grad=True)
    loss = temperature_loss(log_temperature, torch.tensor([0.0, 1.0]), target_entropy)  # the entropy is -0.5
    assert loss.item() == -2.0 * (0.5 + target_entropy)
    loss.backward()
    assert -log_temperature.grad.sign() == sign


def test_split_outputs_keeps_the_log_std_in_its_range():
    mean, log_std = split_outputs(torch.tensor([[7.0, -100.0], [7.0, 0.0], [7.0, 100.0]]))
    assert mean.flatten().tolist() == [7.0, 7.0, 7.0]
    assert log_std.flatten().tolist() == [MIN_LOG_STD, -1.5, MAX_LOG_STD]


def test_log_density_by_hand():
    # One action: mean 0.2, std 0.5, noise 1, so u = 0.7 and a = tanh(0.7).
    raw, noise, log_std = (torch.tensor([[number]]) for number in (0.7, 1.0, math.log(0.5)))
    gaussian = -0.5 - math.log(0.5) - 0.5 * math.log(2.0 * math.pi)
    expected = gaussian - math.log(1.0 - math.tanh(0.7) ** 2)
    assert log_density(raw, noise, log_std).item() == pytest.approx(expected, abs=1e-6)


def test_log_density_is_finite_for_actions_at_the_bounds():
    raw = torch.tensor([[40.0, -40.0]])
    density = log_density(raw, torch.zeros(1, 2), torch.zeros(1, 2))
    # log(1 - tanh(u)^2) goes to 2 log 2 - 2 |u|.
    expected = -math.log(2.0 * math.pi) + 2.0 * (80.0 - 2.0 * math.log(2.0))
    assert density.item() == pytest.approx(expected, rel=1e-6)


def test_sample_agrees_with_torch_in_value_and_density():
    torch.manual_seed(0)
    mean, log_std = torch.randn(64, 3), 0.3 * torch.randn(64, 3)
    actions, log_prob = sample(mean, log_std)
    assert actions.abs().max() < 1.0
    theirs = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, log_std.exp()), torch.distributions.TanhTransform(cache_size=1)
    )
    torch.testing.assert_close(log_prob, theirs.log_prob(actions).sum(-1), atol=1e-3, rtol=1e-3)


def test_sample_gives_gradients_to_mean_and_std():
    mean, log_std = torch.zeros(8, 2, requires_grad=True), torch.zeros(8, 2, requires_grad=True)
    actions, log_prob = sample(mean, log_std)
    (actions.sum() + log_prob.sum()).backward()
    assert mean.grad.abs().sum() > 0.0
    assert log_std.grad.abs().sum() > 0.0
