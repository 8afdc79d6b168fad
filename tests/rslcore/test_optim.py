"""Our Adam is torch's Adam, without its host reads."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rslcore.optim import Adam, AdamW, ParameterGroup


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2))


def backward(network, step):
    torch.manual_seed(100 + step)
    network(torch.randn(16, 5)).square().mean().backward()


@pytest.mark.parametrize("max_grad_norm", [None, 0.05])
def test_adam_steps_equal_those_of_torch(network, max_grad_norm):
    theirs = copy.deepcopy(network)
    reference = torch.optim.Adam(theirs.parameters(), lr=3e-3)
    ours = Adam([ParameterGroup(network.parameters(), torch.tensor(3e-3), max_grad_norm)])
    for step in range(20):
        ours.zero_grad()
        reference.zero_grad()
        backward(network, step)
        backward(theirs, step)
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), max_grad_norm)
        ours.step()
        reference.step()
    for parameter, expected in zip(network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-5, atol=1e-7)


def test_adam_first_step_by_hand():
    # g = 2: m = 0.2, v = 0.004; bias-corrected both are g and g^2, so the step is the learning rate.
    parameter = nn.Parameter(torch.tensor([1.0]))
    adam = Adam([ParameterGroup([parameter], torch.tensor(0.1), None)])
    (2.0 * parameter).sum().backward()
    adam.step()
    torch.testing.assert_close(parameter.data, torch.tensor([0.9]))


def test_adam_clips_each_group_on_its_own():
    small, large = nn.Parameter(torch.tensor([0.0])), nn.Parameter(torch.tensor([0.0]))
    rate = torch.tensor(1.0)
    adam = Adam([ParameterGroup([small], rate, 1.0), ParameterGroup([large], rate, 1.0)])
    (0.5 * small + 100.0 * large).sum().backward()
    adam.step()
    torch.testing.assert_close(adam.groups[0].gradient, torch.tensor([0.5]))
    torch.testing.assert_close(adam.groups[1].gradient, torch.tensor([1.0]))


def test_adam_parameter_outside_the_loss_stays():
    used, unused = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    adam = Adam([ParameterGroup([used, unused], torch.tensor(0.1), None)])
    used.sum().backward()
    adam.step()
    assert unused.item() == 1.0
    assert used.item() < 1.0


def test_adam_follows_a_learning_rate_tensor_that_groups_share():
    parameter, rate = nn.Parameter(torch.tensor([1.0])), torch.tensor(0.1)
    adam = Adam([ParameterGroup([parameter], rate, None)])
    rate.zero_()
    parameter.sum().backward()
    adam.step()
    assert parameter.item() == 1.0


def test_adam_state_round_trip_goes_on_alike(network):
    ours = Adam([ParameterGroup(network.parameters(), torch.tensor(3e-3), 1.0)])
    backward(network, 0)
    ours.step()
    other = copy.deepcopy(network)
    restored = Adam([ParameterGroup(other.parameters(), torch.tensor(3e-3), 1.0)])
    restored.load_state_dict(ours.state_dict())
    for module, adam in ((network, ours), (other, restored)):
        adam.zero_grad()
        backward(module, 1)
        adam.step()
    for parameter, expected in zip(other.parameters(), network.parameters(), strict=True):
        assert torch.equal(parameter, expected)


def test_adamw_leaves_what_took_no_part_in_the_loss():
    # By hand, as torch's: 1 - 0.1 * 0.01 * 1 - 0.1 for the one, nothing for the other.
    used, unused = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    adamw = AdamW([ParameterGroup([used, unused], torch.tensor(0.1), None)])
    (2.0 * used).sum().backward()
    adamw.step()
    torch.testing.assert_close(used.data, torch.tensor([0.899]))
    assert unused.item() == 1.0
