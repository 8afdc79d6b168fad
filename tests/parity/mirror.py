"""How the scripted envs are mirrored: signs of features and actions change.

Legend: B rows, A actions.
"""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor


def left_right(env: object, obs: TensorDict | None, actions: Tensor | None) -> tuple[TensorDict | None, Tensor | None]:
    """Both, `[2 * B, ...]`: the original rows and the mirrored ones."""
    return _copies(obs, actions, (1.0, -1.0))


def four_ways(env: object, obs: TensorDict | None, actions: Tensor | None) -> tuple[TensorDict | None, Tensor | None]:
    """Both, `[4 * B, ...]`, with copies that differ in size, too."""
    return _copies(obs, actions, (1.0, -1.0, 0.5, -0.5))


def _copies(
    obs: TensorDict | None, actions: Tensor | None, factors: tuple[float, ...]
) -> tuple[TensorDict | None, Tensor | None]:
    def mirror(rows: Tensor) -> Tensor:
        even = torch.arange(rows.shape[-1], device=rows.device) % 2 == 0
        return torch.cat([torch.where(even, rows * factor, rows) for factor in factors])

    mirrored = None
    if obs is not None:
        groups = {name: mirror(rows) for name, rows in obs.items()}
        mirrored = TensorDict(groups, batch_size=[len(obs) * len(factors)])
    return mirrored, None if actions is None else mirror(actions)
