"""An ensemble of critics, evaluated as one.

Legend: E critics, B rows, D features.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - as torch calls it
from torch import Tensor, nn

from rslcore.config import Activation
from rslcore.layers import ACTIVATIONS


class CriticEnsemble(nn.Module):
    """E fully connected networks `[B, D]` to `[B]`, whose layers are one batched matrix product each.

    Args:
        num_critics: E.
        num_features: D.
        hidden_dims: Width of each hidden layer.
        activation: Between the layers.
        layer_norm: Whether features are normalized before the activation (Ba et al. 2016), without gain and bias.
    """

    def __init__(
        self,
        num_critics: int,
        num_features: int,
        hidden_dims: Sequence[int],
        activation: Activation,
        layer_norm: bool,
    ) -> None:
        super().__init__()
        self.num_critics = num_critics
        self.layer_norm = layer_norm
        self.activation = ACTIVATIONS[activation]()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for width_in, width_out in itertools.pairwise((num_features, *hidden_dims, 1)):
            bound = 1.0 / math.sqrt(width_in)  # torch's own for linear layers
            self.weights.append(nn.Parameter(torch.empty(num_critics, width_in, width_out).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(num_critics, 1, width_out).uniform_(-bound, bound)))

    def forward(self, rows: Tensor, frozen: bool = False) -> Tensor:
        """Values `[E, B]` of rows `[B, D]`; `frozen` ones give gradients to the rows only."""
        features = rows.expand(self.num_critics, *rows.shape)
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if frozen:
                weight, bias = weight.detach(), bias.detach()
            features = torch.baddbmm(bias, features, weight)
            if index < last:
                if self.layer_norm:
                    features = F.layer_norm(features, features.shape[-1:])
                features = self.activation(features)
        return features.squeeze(-1)
