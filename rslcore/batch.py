"""What a storage hands out to learn from.

Legend: B rows of a batch, S sequences.
"""

from __future__ import annotations

from typing import Any

import attrs
from tensordict import TensorDict
from torch import Tensor

from rslcore.recurrence import Sequences, State


@attrs.define
class Batch:
    """Rows of a rollout, `[B, ...]`, flat also where they are whole sequences.

    `batch["rewards"]` is a column; `len(batch)` is B. Columns may be replaced, but tensors are not to be changed in
    place or kept: another minibatch may be handed the same ones, with other numbers in them.

    Attributes:
        columns: The storage's columns by name, `[B, ...]`, those of extensions among them.
        obs: The observation groups, `[B, ...]`.
        num_original: Number of rows that come from the rollout. They come first; rows that extensions add by `augment`
            follow. Statistics of the policy, such as its entropy, are taken of the original rows.
        sequences: How the rows follow one another; None where they are in no order.
        states: For sequences: the state of each recurrent network before them, `{network: {name: [S, ...]}}`.
        samples: What the `samplers` of extensions drew for this minibatch, by name.
        weight: What a mean over the original rows is to be multiplied with, so that the mean over ranks is one over the
            rows of all; the learner sets it.
    """

    columns: dict[str, Tensor]
    obs: TensorDict
    num_original: int
    sequences: Sequences | None = None
    states: dict[str, State] = attrs.field(factory=dict)
    samples: dict[str, Any] = attrs.field(factory=dict)
    weight: Tensor | float = 1.0

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.obs)


@attrs.define
class ReplayBatch(Batch):
    """Rows that a replay has drawn, each the first step of a window of consecutive transitions of one env.

    Windows may be of different lengths L, of at least one step.

    Attributes:
        next_obs: The true observation groups after the last step of each window, `[B, ...]`; of no meaning where
            `discounts` is 0.
        returns: Discounted sum of the rewards of each window, `sum_{k < L} gamma^k r_k`, `[B]`.
        discounts: What the value of `next_obs` counts for, `gamma^L`; 0 where the window ended in a terminal state,
            `[B]`.
    """

    next_obs: TensorDict = attrs.field(kw_only=True)
    returns: Tensor = attrs.field(kw_only=True)
    discounts: Tensor = attrs.field(kw_only=True)
