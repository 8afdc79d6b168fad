"""What the layers of `rslcore_networks.loop` have in common."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor


@attrs.frozen
class Steps:
    """How many rows the steps of a loop have; B in all.

    Attributes:
        sizes: Number of sequences that have a row, never more than in the step before.
        rooms: Number of rows that are computed: those, and some that no sequence fills.
    """

    sizes: list[int]
    rooms: list[int]

    def ending(self, step: int) -> slice:
        """The sequences that have their last row in a step."""
        return slice(self.sizes[step + 1] if step + 1 < len(self.sizes) else 0, self.sizes[step])

    def before(self, first: Tensor, outputs: Tensor) -> list[Tensor]:
        """The states with which the steps begin, of the first one's and of what all steps give, `[B, H]`."""
        states = (first, *outputs.split(self.rooms))
        return [state[:room] for state, room in zip(states, self.rooms, strict=False)]


def product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`rows @ weight.T + bias` by oneDNN."""
    outputs: Tensor = torch.ops.rslcore.linear(rows, weight, bias, "none")
    return outputs
