"""Products by oneDNN: the numbers and gradients of torch's own layers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rslcore import linear
from rslcore.layers import ACTIVATIONS, fully_connected
from rslcore.linear import FullyConnected, Linear, pays


@pytest.fixture(params=["elu", "relu", "tanh"])
def networks(request):
    """One of ours, and torch's layers with the same weights."""
    torch.manual_seed(0)
    ours = fully_connected((48, 256, 128, 12), request.param)
    layers = [layer if not isinstance(layer, Linear) else copy_of(layer) for layer in copy.deepcopy(ours)]
    return ours, nn.Sequential(*layers)


def copy_of(layer):
    plain = nn.Linear(layer.in_features, layer.out_features)
    plain.load_state_dict(layer.state_dict())
    return plain


@pytest.fixture
def counted(monkeypatch):
    """How often oneDNN was asked for a product."""
    calls = []
    monkeypatch.setattr(linear._Linear, "apply", counting(linear._Linear.apply, calls))
    return calls


def counting(function, calls):
    def call(*arguments):
        calls.append(arguments[3])
        return function(*arguments)

    return call


# 16 divides the rows, or does not: then the rest of a weight gradient is an ordinary product, or all of it.
@pytest.mark.parametrize("num_rows", [1600, 1615])
def test_fully_connected_has_the_numbers_and_gradients_of_torchs_layers(networks, counted, num_rows):
    ours, torchs = networks
    rows = torch.randn(num_rows, 48, requires_grad=True)
    outputs, expected = ours(rows), torchs(rows)
    assert len(counted) == 2, "the last layer is too small"
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-6)
    gradients = torch.autograd.grad(outputs.square().sum(), [rows, *ours.parameters()])
    of_torchs = torch.autograd.grad(expected.square().sum(), [rows, *torchs.parameters()])
    for gradient, reference in zip(gradients, of_torchs, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-3)


def test_gradients_of_gradients_are_those_of_torchs_layers(networks):
    ours, torchs = networks
    penalties = []
    for network in (ours, torchs):
        rows = torch.linspace(-1.0, 1.0, 1600 * 48).view(1600, 48).requires_grad_()
        (gradient,) = torch.autograd.grad(network(rows).square().sum(), rows, create_graph=True)
        gradient.square().mean().backward()
        penalties.append([parameter.grad for parameter in network.parameters()])
    torch.testing.assert_close(*penalties, rtol=1e-4, atol=1e-4)


def test_relu_and_tanh_are_applied_with_the_product(counted):
    rows = torch.randn(1600, 48)
    for activation in ("relu", "tanh", "elu"):
        fully_connected((48, 256, 4), activation)(rows)
    assert counted == ["relu", "tanh", "none"]


def test_small_products_are_left_to_torch(networks, counted):
    ours, torchs = networks
    rows = torch.randn(8, 48)
    assert torch.equal(ours(rows), torchs(rows))
    assert counted == []


def test_what_onednn_is_not_asked_for():
    layer, rows = Linear(256, 256), torch.randn(1024, 256)
    assert pays(rows, layer)
    assert not pays(rows.double(), copy.deepcopy(layer).double())
    assert not pays(rows.view(2, 512, 256), layer)
    assert not pays(rows, Linear(256, 256, bias=False))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not pays(rows, layer)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"])
def test_a_layer_with_a_hook_is_called(counted, place, kind):
    network = FullyConnected(Linear(48, 256), nn.Tanh(), Linear(256, 4))
    seen = []
    getattr(network[place], kind)(lambda *arguments: seen.append(arguments[0]))
    network(torch.randn(1600, 48, requires_grad=True)).sum().backward()
    assert seen == [network[place]]
    assert counted == ["none"]


def test_an_activation_that_was_replaced_is_not_applied():
    network = fully_connected((48, 256, 4), "tanh")
    network[1] = nn.SiLU()
    rows = torch.randn(1600, 48)
    torch.testing.assert_close(network(rows), network[2](nn.functional.silu(network[0](rows))))


def test_functions_of_torch_func_go_through():
    network = fully_connected((48, 256, 4), "tanh")
    rows = torch.randn(1600, 48)
    of_func = torch.func.grad(lambda rows: network(rows).sum())(rows)
    rows.requires_grad_()
    network(rows).sum().backward()
    torch.testing.assert_close(of_func, rows.grad)


def test_activations_by_name_leave_their_inputs_alone():
    for activation in ACTIVATIONS.values():
        rows = torch.linspace(-1.0, 1.0, 5)
        activation()(rows)
        assert torch.equal(rows, torch.linspace(-1.0, 1.0, 5))


def test_a_layer_that_is_not_trained_gets_no_gradient():
    network = FullyConnected(Linear(48, 256), nn.Tanh(), Linear(256, 256))
    network[0].requires_grad_(False)
    network(torch.randn(1600, 48)).sum().backward()
    assert network[0].weight.grad is None
    assert network[2].weight.grad is not None
