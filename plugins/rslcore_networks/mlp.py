"""Fully connected layers.

Legend: B rows.
"""

from __future__ import annotations

import itertools
import math

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore_networks.config import MlpConfig
from rslcore_networks.inputs import concatenate, vector_size
from rslcore_networks.normalization import EmpiricalNormalization

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
}


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
        widths = [num_features, *config.hidden_dims, num_outputs]
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out), ACTIVATIONS[config.activation]()]
        self.layers = nn.Sequential(*layers[:-1])
        self._initialize(config)
        self.to(context.device)

    @property
    def output_layer(self) -> nn.Linear:
        """The last layer, which makes the outputs."""
        layer = self.layers[-1]
        assert isinstance(layer, nn.Linear)
        return layer

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

    def reset(self, dones: Tensor | None = None) -> None:
        """Nothing to forget."""

    @torch.no_grad()
    def _initialize(self, config: MlpConfig) -> None:
        linears = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        if config.init == "orthogonal":
            for linear in linears:
                nn.init.orthogonal_(linear.weight, math.sqrt(2.0) if linear is not linears[-1] else 1.0)
                nn.init.zeros_(linear.bias)
        linears[-1].weight.mul_(config.output_scale)
