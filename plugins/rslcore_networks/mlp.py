"""Fully connected layers.

Legend: B rows.
"""

from __future__ import annotations

import math

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.layers import fully_connected
from rslcore.normalization import EmpiricalNormalization
from rslcore.observations import concatenate, vector_size
from rslcore_networks.config import MlpConfig


class Mlp(nn.Module):
    """Linear layers with an activation between them, on concatenated observation groups.

    Args:
        config: The options.
        context: Gives the observation groups and the device.
        num_outputs: Width of the last layer.

    Raises:
        ConfigError: The env does not have the groups, or not as 1-D ones.
    """

    def __init__(self, config: MlpConfig, context: Context, num_outputs: int) -> None:
        super().__init__()
        self.groups = config.groups
        num_features = vector_size(context, config.groups)
        self.normalizer = EmpiricalNormalization(num_features) if config.normalize else None
        self.layers = output_layers(config, num_features, num_outputs)
        self.to(context.device)

    @property
    def output_layer(self) -> nn.Module:
        """The layer that makes the outputs."""
        return self.layers[-1]

    def forward(self, obs: TensorDict) -> Tensor:
        """Observations `[B, ...]` to `[B, num_outputs]`."""
        rows = concatenate(obs, self.groups)
        if self.normalizer is not None:
            rows = self.normalizer(rows)
        outputs: Tensor = self.layers(rows)
        return outputs

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics, if there are any."""
        if self.normalizer is not None:
            self.normalizer.update(concatenate(obs, self.groups))


@torch.no_grad()
def output_layers(config: MlpConfig, num_features: int, num_outputs: int) -> nn.Sequential:
    """The fully connected layers that every network here ends with, initialised as the config says."""
    layers = fully_connected((num_features, *config.hidden_dims, num_outputs), config.activation)
    linears = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if config.init == "orthogonal":
        for linear in linears:
            nn.init.orthogonal_(linear.weight, math.sqrt(2.0) if linear is not linears[-1] else 1.0)
            nn.init.zeros_(linear.bias)
    linears[-1].weight.mul_(config.output_scale)
    return layers
