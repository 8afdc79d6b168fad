"""Encoder, decoder, and what normalizes around them.

Legend: B rows, H observations of a history, D features, E estimated quantities, C size of the context.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rslcore.layers import fully_connected
from rslcore.normalization import EmpiricalNormalization
from rslcore_estimator.config import EstimatorConfig


class EstimatorNetworks(nn.Module):
    """From histories to estimates and, if variational, to a context and to the next observation.

    One module, so that one registration saves and moves all of it. C is 0 without a context.

    Args:
        config: The options.
        num_features: D.
        num_targets: E.
    """

    def __init__(self, config: EstimatorConfig, num_features: int, num_targets: int) -> None:
        super().__init__()
        variational, hidden, activation = config.loss == "variational", config.hidden_dims, config.activation
        self.num_targets = num_targets
        self.num_context = config.num_context if variational else 0
        self.features = EmpiricalNormalization(num_features)
        self.targets = EmpiricalNormalization(num_targets)
        num_outputs = num_targets + 2 * self.num_context
        self.encoder = fully_connected((config.history_length * num_features, *hidden, num_outputs), activation)
        self.decoder = (
            fully_connected((num_targets + self.num_context, *reversed(hidden), num_features), activation)
            if variational
            else None
        )

    def encode(self, histories: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of histories `[B, H, D]`, normalized estimates `[B, E]`, and contexts' mean and log variance `[B, C]`."""
        outputs = self.encoder(self.features(histories).flatten(1))
        estimates, mean, log_variance = outputs.split([self.num_targets, self.num_context, self.num_context], -1)
        return estimates, mean, log_variance

    def forward(self, histories: Tensor, draws: bool) -> Tensor:
        """Estimates in the units of the targets, and contexts behind them, draws or means, `[B, E + C]`."""
        estimates, mean, log_variance = self.encode(histories)
        scale = self.targets.variance.sqrt() + self.targets.eps
        context = draw(mean, log_variance) if draws else mean
        return torch.cat([estimates * scale + self.targets.mean, context], dim=-1)


def draw(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Draws from normal distributions `[B, C]`, through which gradients flow (Kingma and Welling 2014, sec. 2.4)."""
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
