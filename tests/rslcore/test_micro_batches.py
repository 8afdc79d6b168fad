"""Parts of a minibatch: every row once, copies beside their originals."""

from __future__ import annotations

import attrs
import pytest
import torch
from tensordict import TensorDict

from rslcore.batch import Batch
from rslcore.micro_batches import can_split, default_rows, part_sizes, parts_of
from rslcore.specs import TensorSpec


def batch_of(num_rows, copies=1):
    """Rows that are numbered, of which copy c begins with 100 * c."""
    numbers = torch.cat([torch.arange(float(num_rows)) + 100 * copy for copy in range(copies)])
    obs = TensorDict({"policy": numbers.unsqueeze(1)}, batch_size=[copies * num_rows])
    return Batch({"actions": numbers}, obs, num_rows)


@pytest.mark.parametrize(("size", "rows"), [(48, 4096), (1024, 4096), (12_288, 336), (10**6, 256)])
def test_a_part_has_fewer_rows_of_large_observations(size, rows):
    assert default_rows(torch.device("cpu"), {"policy": TensorSpec((size,))}) == rows


def test_a_gpu_is_given_whole_minibatches():
    assert default_rows(torch.device("cuda"), {"policy": TensorSpec((48,))}) is None


def test_parts_have_every_row_once_and_about_equal_sizes():
    parts = list(parts_of(batch_of(100), 60))
    assert [len(part) for part in parts] == [48, 48, 4]  # a multiple of 16 that is about a half
    assert torch.cat([part["actions"] for part in parts]).tolist() == list(range(100))
    assert torch.cat([part.obs["policy"] for part in parts]).flatten().tolist() == list(range(100))
    assert [part.num_original for part in parts] == [48, 48, 4]


@pytest.mark.parametrize(
    ("num_rows", "at_most", "sizes"),
    [(24_576, 4096, (4096,)), (10, 1, (1,)), (10, 4, (4, 2)), (2000, 1000, (992, 16)), (100, 100, (100,))],
)
def test_parts_have_at_most_so_many_rows(num_rows, at_most, sizes):
    assert part_sizes(num_rows, at_most) == sizes
    assert {len(part) for part in parts_of(batch_of(num_rows), at_most)} == set(sizes)


def test_whole_minibatches_have_their_own_size():
    assert part_sizes(100, None) == (100,)


def test_parts_keep_copies_beside_their_originals():
    first, second = parts_of(batch_of(20, copies=2), 16)
    assert first["actions"].tolist() == [*range(16), *range(100, 116)]
    assert second["actions"].tolist() == [16, 17, 18, 19, 116, 117, 118, 119]
    assert (first.num_original, second.num_original) == (16, 4)


def test_what_is_about_all_rows_is_not_split():
    batch = batch_of(4)
    assert can_split(batch)
    assert not can_split(attrs.evolve(batch, samples={"expert": 1}))
    assert not can_split(attrs.evolve(batch, sequences=object()))
    assert not can_split(attrs.evolve(batch_of(4), num_original=3)), "a row more is no copy of all"
