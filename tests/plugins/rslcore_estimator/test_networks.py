"""Encoder and decoder: what they read and give."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rslcore_estimator.config import EstimatorConfig
from rslcore_estimator.networks import EstimatorNetworks


def test_forward_gives_the_units_of_the_targets():
    networks = EstimatorNetworks(EstimatorConfig(history_length=2, hidden_dims=()), num_features=1, num_targets=1)
    (layer,) = networks.encoder
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0, 1.0]]))  # the difference of two normalized observations
        nn.init.zeros_(layer.bias)
    networks.features.update(torch.tensor([[0.0], [20.0]]))  # mean 10, standard deviation 10
    networks.targets.update(torch.tensor([[3.0], [7.0]]))  # mean 5, standard deviation 2
    estimate = networks(torch.tensor([[[10.0], [20.02]]]), draws=True)
    # 10.02 / 10.01 in units of 2.01, above 5.
    torch.testing.assert_close(estimate, torch.tensor([[5.0 + 2.01 * 10.02 / 10.01]]))


def test_forward_gives_the_mean_of_the_context_behind_the_estimate():
    config = EstimatorConfig(loss="variational", history_length=1, num_context=2, hidden_dims=())
    networks = EstimatorNetworks(config, num_features=1, num_targets=1)
    (layer,) = networks.encoder
    with torch.no_grad():
        nn.init.zeros_(layer.weight)
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    # The targets have no statistics yet: mean 0, standard deviation 1 + 0.01. The last two are log variances.
    torch.testing.assert_close(networks(torch.zeros(1, 1, 1), draws=False), torch.tensor([[1.01, 2.0, 3.0]]))
    torch.testing.assert_close(networks.encode(torch.zeros(1, 1, 1))[2], torch.tensor([[4.0, 5.0]]))


def test_forward_draws_the_context():
    config = EstimatorConfig(loss="variational", history_length=1, num_context=1, hidden_dims=())
    networks = EstimatorNetworks(config, num_features=1, num_targets=1)
    (layer,) = networks.encoder
    with torch.no_grad():
        nn.init.zeros_(layer.weight)
        layer.bias.copy_(torch.tensor([0.0, 5.0, math.log(4.0)]))
    torch.manual_seed(0)
    context = networks(torch.zeros(20_000, 1, 1), draws=True)[:, 1]
    assert context.mean().item() == pytest.approx(5.0, abs=0.05)
    assert context.std().item() == pytest.approx(2.0, abs=0.05)


def test_networks_decoder_has_the_widths_in_reverse():
    config = EstimatorConfig(loss="variational", num_context=4, hidden_dims=(32, 16))
    networks = EstimatorNetworks(config, num_features=3, num_targets=2)
    assert [layer.out_features for layer in networks.encoder if isinstance(layer, nn.Linear)] == [32, 16, 2 + 2 * 4]
    assert [layer.out_features for layer in networks.decoder if isinstance(layer, nn.Linear)] == [16, 32, 3]
    assert EstimatorNetworks(EstimatorConfig(), 3, 2).decoder is None
