"""Building blocks that several networks are made of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn

from rslcore.config import Activation

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


def fully_connected(widths: Sequence[int], activation: Activation) -> nn.Sequential:
    """Linear layers from `widths[0]` features to `widths[-1]`, with an activation between them, not after the last."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(widths):
        layers += [nn.Linear(width_in, width_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])
