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

    def forward(self, states: Tensor, embeddings: Tensor | None = None) -> Tensor:
        """What the predictor's outputs for states `[B, D]` are off by, `[B, num_outputs]`.

        Args:
            states: `[B, D]`.
            embeddings: What `embed` makes of them, if that is known.
        """
        targets = self.embed(states) if embeddings is None else embeddings
        errors: Tensor = self.predictor(self._normalized(states)) - targets
        return errors

    def embed(self, states: Tensor) -> Tensor:
        """The target's outputs for states `[B, D]`, `[B, num_outputs]`."""
        embeddings: Tensor = self.target(self._normalized(states))
        return embeddings

    def _normalized(self, states: Tensor) -> Tensor:
        if self.state_normalizer is None:
            return states
        normalized: Tensor = self.state_normalizer(states)
        return normalized
