"""The networks of a config in plain torch, for peers to which one hands one's own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

ACTIVATIONS = {"elu": nn.ELU, "tanh": nn.Tanh, "relu": nn.ReLU}


def body(options: dict[str, Any], shape: Sequence[int], num_outputs: int) -> nn.Sequential:
    """A network of kind `mlp` or `cnn`, from observations `[B, *shape]` to `[B, num_outputs]`."""
    layers: list[nn.Module] = []
    if options["name"] == "cnn":
        layers.append(encoder(options["encoder"], shape[0]))
        with torch.no_grad():
            width = layers[0](torch.zeros(1, *shape)).shape[1]
    else:
        (width,) = shape
    return nn.Sequential(*layers, *dense([width, *options["hidden_dims"], num_outputs], options["activation"]))


def encoder(options: dict[str, Any], num_channels: int) -> nn.Sequential:
    """Convolutions without padding, flattened."""
    layers: list[nn.Module] = []
    for channels, size, stride in zip(options["channels"], options["kernel_sizes"], options["strides"], strict=True):
        layers += [nn.Conv2d(num_channels, channels, size, stride), ACTIVATIONS[options["activation"]]()]
        num_channels = channels
    return nn.Sequential(*layers, nn.Flatten())


def dense(widths: Sequence[int], activation: str) -> list[nn.Module]:
    """Fully connected layers with activations between them."""
    layers: list[nn.Module] = []
    for num_inputs, num_outputs in itertools.pairwise(widths):
        layers += [nn.Linear(num_inputs, num_outputs), ACTIVATIONS[activation]()]
    return layers[:-1]


class Normalizer:
    """Running mean and variance of observations, by which each step's are normalized once it has been counted."""

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        self._mean, self._variance = torch.zeros(*shape, device=device), torch.ones(*shape, device=device)
        self._count = 1e-4

    def __call__(self, obs: Tensor) -> Tensor:
        """Count observations `[N, ...]` and return them normalized."""
        variance, mean = torch.var_mean(obs, 0, correction=0)
        delta, total = mean - self._mean, self._count + len(obs)
        moment = self._variance * self._count + variance * len(obs) + delta**2 * self._count * len(obs) / total
        self._mean, self._variance, self._count = self._mean + delta * len(obs) / total, moment / total, total
        return ((obs - self._mean) / (self._variance + 1e-8).sqrt()).clamp(-10.0, 10.0)
