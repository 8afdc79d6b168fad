"""Target, predictor, and what normalizes around them.

Legend: B rows, D features, N envs.
"""

from __future__ import annotations

from torch import Tensor, nn

from rslcore.layers import fully_connected
from rslcore.normalization import EmpiricalNormalization
from rslcore_rnd.config import RndConfig
from rslcore_rnd.reward_scale import RewardScale

GAMMA = 0.99
"""Discount of the sum by whose spread rewards are scaled."""
MAX_ROWS = 100_000_000
"""Rows after which all statistics stand still."""


class RandomNetworkDistillation(nn.Module):
    """A random network that stays as it is, and one that learns its outputs (Burda et al. 2019; Schwarke et al. 2023).

    One module, so that one registration saves and moves all of it.

    Args:
        config: The options.
        num_features: D.
        num_envs: N.
    """

    def __init__(self, config: RndConfig, num_features: int, num_envs: int) -> None:
        super().__init__()
        outputs, activation = config.num_outputs, config.activation
        self.predictor = fully_connected((num_features, *config.predictor_hidden_dims, outputs), activation)
        self.target = fully_connected((num_features, *config.target_hidden_dims, outputs), activation)
        self.target.requires_grad_(False)
        self.state_normalizer = (
            EmpiricalNormalization(num_features, until=MAX_ROWS) if config.state_normalization else None
        )
        self.reward_scale = RewardScale(num_envs, GAMMA, MAX_ROWS) if config.reward_normalization else None

    def forward(self, states: Tensor) -> Tensor:
        """What the predictor's outputs for states `[B, D]` are off by, `[B, num_outputs]`."""
        if self.state_normalizer is not None:
            states = self.state_normalizer(states)
        errors: Tensor = self.predictor(states) - self.target(states)
        return errors
