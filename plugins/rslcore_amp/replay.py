"""Past transitions of the policy.

Legend: R transitions, D features of an observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class ReplayBuffer:
    """A ring of transitions on the device: new ones take the place of the oldest.

    Args:
        capacity: Number of transitions that it holds.
        num_features: D.
        device: Where they are.
    """

    def __init__(self, capacity: int, num_features: int, device: torch.device) -> None:
        self._rows = torch.zeros(capacity, 2, num_features, device=device)
        self._next = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, rows: Tensor) -> None:
        """Take in transitions `[R, 2, D]`; a random choice of them if there are more than it holds."""
        capacity, device = len(self._rows), self._rows.device
        if len(rows) > capacity:
            rows = rows[torch.randperm(len(rows), device=device)[:capacity]]
        places = (self._next + torch.arange(len(rows), device=device)) % capacity
        self._rows.index_copy_(0, places, rows)
        self._next = (self._next + len(rows)) % capacity
        self._size = min(self._size + len(rows), capacity)

    def sample(self, num_rows: int) -> Tensor:
        """Transitions `[num_rows, 2, D]`, each drawn from all that it holds; there must be one."""
        return self._rows[torch.randint(self._size, (num_rows,), device=self._rows.device)]

    def state_dict(self) -> dict[str, Any]:
        """What it holds, and where the next row goes."""
        return {"rows": self._rows[: self._size].clone(), "next": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`: the same draws follow. If it holds fewer than were saved, the newest stay."""
        capacity = len(self._rows)
        oldest_first = state["rows"].roll(-state["next"], 0)[-capacity:]
        self._next, self._size = state["next"] if len(oldest_first) == capacity else 0, 0
        self.add(oldest_first.to(self._rows.device))
