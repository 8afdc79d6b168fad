"""Losses and reward against numbers computed by hand."""

from __future__ import annotations

import pytest
import torch

from rslcore_amp.discriminator import Discriminator, accuracy, gradient_penalty, least_squares_loss, style_reward


def make(weights, *, hidden=()):
    """A discriminator of one feature, without biases, with the given weights of its layers."""
    discriminator = Discriminator(1, hidden, "relu")
    with torch.no_grad():
        for parameter in discriminator.network.parameters():
            parameter.zero_()
        for weight, rows in zip(discriminator.layer_weights(), weights, strict=True):
            weight.copy_(torch.tensor(rows))
    return discriminator


def pairs(*rows):
    return torch.tensor(rows).unsqueeze(-1)


def test_forward_sees_both_ends_of_a_transition():
    assert make([[[2.0, -1.0]]])(pairs((1.0, 0.5), (0.0, 3.0))).tolist() == [1.5, -3.0]


def test_least_squares_loss_wants_1_for_the_reference_and_minus_1_for_the_policy():
    loss = least_squares_loss(policy=torch.tensor([0.0, 1.0]), reference=torch.tensor([1.0, -1.0, 0.0]))
    assert loss.item() == pytest.approx((1.0 + 4.0) / 2 + (0.0 + 4.0 + 1.0) / 3)


@pytest.mark.parametrize(
    ("output", "reward"), [(1.0, 1.0), (0.0, 0.75), (2.0, 0.75), (-1.0, 0.0), (-0.5, 0.4375), (-3.0, 0.0), (4.0, 0.0)]
)
def test_style_reward_is_1_where_the_discriminator_is_deceived(output, reward):
    assert style_reward(torch.tensor([output])).item() == reward


def test_gradient_penalty_of_a_linear_discriminator_is_the_square_of_its_weights():
    inputs = pairs((1.0, 0.5), (0.0, 3.0)).requires_grad_()
    discriminator = make([[[2.0, -1.0]]])
    penalty = gradient_penalty(discriminator(inputs), inputs)
    assert penalty.item() == 5.0
    penalty.backward()
    assert discriminator.network[0].weight.grad.tolist() == [[4.0, -2.0]]


def test_gradient_penalty_is_the_mean_over_transitions():
    # One hidden unit, 1 a + 2 b, which the second transition leaves at 0; its output is multiplied by 3.
    inputs = pairs((1.0, 1.0), (-1.0, 0.0)).requires_grad_()
    penalty = gradient_penalty(make([[[1.0, 2.0]], [[3.0]]], hidden=(1,))(inputs), inputs)
    assert penalty.item() == (3.0**2 + 6.0**2 + 0.0) / 2


def test_accuracy_is_the_share_of_right_signs():
    policy, reference = torch.tensor([-1.0, 0.5, -0.1, 0.0]), torch.tensor([0.2, 0.3, 1.0, -1.0])
    assert accuracy(policy, reference).item() == (2 + 3) / 8
