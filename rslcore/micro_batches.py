"""A minibatch learned from a part at a time: its gradients are added up, and the step is the same.

On a CPU what a part needs stays in the cache, and its memory is used again for the next part; docs/performance.md has
the figures. A GPU may not have the memory for a whole minibatch.

Legend: B rows of a minibatch, K copies of each row of the rollout that are in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.batch import Batch
from rslcore.linear import IMAGES
from rslcore.specs import TensorSpec

MAX_ROWS = 4096
"""Rows of a part on a CPU, of small observations: their features fit its cache."""
_MAX_NUMBERS = 2**22  # of a part's observations


def default_rows(device: torch.device, groups: Mapping[str, TensorSpec]) -> int | None:
    """Rows of a part, with observations of these groups; None for the whole minibatch, as on a GPU."""
    if device.type != "cpu":
        return None
    numbers = sum(spec.size for spec in groups.values())
    return max(256, min(MAX_ROWS, _MAX_NUMBERS // max(numbers, 1)) // IMAGES * IMAGES)


def can_split(batch: Batch) -> bool:
    """Whether a part of the rows is a minibatch too: rows are in no order, and each is there K times."""
    is_plain = type(batch) is Batch and batch.sequences is None and not batch.samples
    return is_plain and len(batch) % batch.num_original == 0


def _part_size(num_rows: int, at_most: int) -> int:
    """Rows of a part but the last, of a minibatch of `num_rows`: about equal parts, in steps that oneDNN likes."""
    if num_rows <= at_most:
        return num_rows
    num_parts = -(-num_rows // at_most)
    equal = -(-num_rows // num_parts)
    return at_most if at_most < IMAGES else min(-(-equal // IMAGES), at_most // IMAGES) * IMAGES


def part_sizes(num_rows: int, at_most: int | None) -> tuple[int, ...]:
    """Numbers of original rows of the parts of a minibatch, each number once; None for whole ones."""
    size = num_rows if at_most is None else _part_size(num_rows, at_most)
    return (size, num_rows % size) if num_rows % size else (size,)


def parts_of(batch: Batch, at_most: int) -> Iterator[Batch]:
    """Parts of a batch for which `can_split` holds, of at most so many original rows each, and their copies."""
    count, copies = batch.num_original, len(batch) // batch.num_original
    size = _part_size(count, at_most)
    for first in range(0, count, size):
        num_original = min(size, count - first)
        rows = [slice(copy * count + first, copy * count + first + num_original) for copy in range(copies)]

        def take(column: Any, rows: list[slice] = rows) -> Tensor:
            return column[rows[0]] if copies == 1 else torch.cat([column[each] for each in rows])

        obs = {group: take(batch.obs[group]) for group in batch.obs.keys()}  # noqa: SIM118 - TensorDict
        yield Batch(
            {name: take(column) for name, column in batch.columns.items()},
            TensorDict(obs, batch_size=[copies * num_original]),
            num_original,
            weight=batch.weight,
        )
