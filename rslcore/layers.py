"""Building blocks that several networks are made of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn

from rslcore.config import Activation
from rslcore.linear import FullyConnected, Linear

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "selu": nn.SELU,
    "celu": nn.CELU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "mish": nn.Mish,
}
"""The activations by name."""

_OVERWRITING = ("elu", "relu", "leaky_relu", "selu", "celu")


def overwriting_activation(name: Activation) -> nn.Module:
    """An activation for inputs that nobody else has: in place where its gradient follows from its result, so that a
    layer's outputs are kept once, not twice."""
    return ACTIVATIONS[name](inplace=True) if name in _OVERWRITING else ACTIVATIONS[name]()


def fully_connected(widths: Sequence[int], activation: Activation) -> FullyConnected:
    """Linear layers from `widths[0]` features to `widths[-1]`, with an activation between them, not after the last."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(widths):
        layers += [Linear(width_in, width_out), overwriting_activation(activation)]
    return FullyConnected(*layers[:-1])
