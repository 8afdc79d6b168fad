"""The scale of a reward, by the spread of its discounted sum.

Legend: N envs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rslcore.normalization import EmpiricalNormalization


class RewardScale(nn.Module):
    """Divides rewards by the running standard deviation of their discounted sum (Burda et al. 2019, section 2.4).

    The sums run over the ends of episodes, since novelty does not end with an episode. They are no part of the module's
    state, which fits any number of envs.

    Args:
        num_envs: N.
        gamma: Discount of a step.
        until: Number of rows after which the statistics stand still.
    """

    sums: Tensor

    def __init__(self, num_envs: int, gamma: float, until: int) -> None:
        super().__init__()
        self.gamma = gamma
        self.statistics = EmpiricalNormalization(1, until=until)
        self.register_buffer("sums", torch.zeros(num_envs), persistent=False)

    def forward(self, rewards: Tensor) -> Tensor:
        """Rewards `[N]`, scaled; as they are while the standard deviation is 0."""
        std = self.statistics.variance.sqrt()
        return rewards / torch.where(std > 0.0, std, 1.0)

    @torch.no_grad()
    def update(self, rewards: Tensor, valid: Tensor | None) -> None:
        """Merge the rewards `[N]` of a step; the sums of rows that are not `valid [N]` stay as they are."""
        sums = self.gamma * self.sums + rewards
        self.sums.copy_(sums if valid is None else torch.where(valid, sums, self.sums))
        self.statistics.update(self.sums.unsqueeze(1))
