"""Empirical normalization: inputs to mean 0 and standard deviation 1.

Legend: B rows, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rslcore.distributed import merged_moments


class EmpiricalNormalization(nn.Module):
    """Running mean and variance of all rows that were ever merged in.

    Forward only reads them; `update` is called between a learning update and the next rollout, so that the policy that
    collected a rollout is exactly the one that is updated on it.

    Args:
        num_features: D.
        eps: Added to the standard deviation.
        until: Number of rows after which the statistics stand still; None for never.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, num_features: int, eps: float = 1e-2, until: int | None = None) -> None:
        super().__init__()
        self.eps = eps
        self.until = until
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("variance", torch.ones(num_features))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        """`(x - mean) / (std + eps)` of rows `[B, D]`."""
        return (rows - self.mean) / (self.variance.sqrt() + self.eps)

    @torch.no_grad()
    def update(self, rows: Tensor) -> None:
        """Merge rows `[B, D]` of all ranks into the statistics (Chan, Golub and LeVeque 1983, equation 2.1)."""
        count, mean, variance = merged_moments(rows)
        # Stopping is a count of 0 rows, not a branch, which would read `self.count` on the host.
        merged = count if self.until is None else count * (self.count < self.until)
        self.count += merged
        share = (merged / self.count.clamp(min=1.0)).to(mean.dtype)
        delta = mean - self.mean
        self.mean.add_(share * delta)
        self.variance.add_(share * (variance - self.variance + delta.square() * (1.0 - share)))
