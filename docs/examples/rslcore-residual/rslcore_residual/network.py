"""Residual blocks."""

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.observations import vector_size
from rslcore_residual.config import ResidualConfig


class Residual(nn.Module):
    """Linear layers, each of which adds to its own input."""

    def __init__(self, config: ResidualConfig, context: Context, num_outputs: int) -> None:
        super().__init__()
        num_inputs = vector_size(context, ("policy",), "name")  # says so where there is no such group
        self.first = nn.Linear(num_inputs, config.width)
        self.blocks = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(config.num_blocks))
        self.last = nn.Linear(config.width, num_outputs)
        self.to(context.device)

    def forward(self, obs: TensorDict) -> Tensor:
        """Observations `[B, ...]` to `[B, num_outputs]`."""
        rows = self.first(obs["policy"])
        for block in self.blocks:
            rows = rows + torch.tanh(block(rows))
        return self.last(rows)

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge nothing: there are no statistics."""
