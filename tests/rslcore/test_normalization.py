"""Running statistics of inputs."""

from __future__ import annotations

import torch

from rslcore.distributed import rank
from rslcore.normalization import EmpiricalNormalization


def test_update_in_parts_equals_the_statistics_of_all_rows():
    rows = 3.0 + 2.0 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    normalizer = EmpiricalNormalization(4)
    for part in rows.split(20):
        normalizer.update(part)
    torch.testing.assert_close(normalizer.mean, rows.mean(0))
    torch.testing.assert_close(normalizer.variance, rows.var(0, correction=0))


def test_update_with_no_rows_changes_nothing_also_the_first_time():
    normalizer = EmpiricalNormalization(2)
    normalizer.update(torch.zeros(0, 2))
    assert (normalizer.mean.tolist(), normalizer.variance.tolist(), normalizer.count.item()) == ([0, 0], [1, 1], 0)


def update(rows):
    normalizer = EmpiricalNormalization(1)
    for part in rows:
        normalizer.update(torch.tensor(part[rank()]).unsqueeze(1))
    return normalizer.mean.item(), normalizer.variance.item(), normalizer.count.item()


def test_update_merges_the_rows_of_all_ranks(two_ranks):
    # The mean of 1, 2, 3 and 6 is 3, their squared deviations 4, 1, 0 and 9.
    assert two_ranks.run(update, [([], []), ([1.0], [2.0, 3.0]), ([], [6.0])]) == [(3.0, 3.5, 4.0)] * 2


def test_update_beyond_until_changes_nothing():
    normalizer = EmpiricalNormalization(1, until=3)
    for rows in ([0.0, 2.0], [4.0, 6.0], [100.0, 100.0]):  # the second update passes the limit and is merged whole
        normalizer.update(torch.tensor(rows).unsqueeze(1))
    assert (normalizer.mean.item(), normalizer.variance.item(), normalizer.count.item()) == (3.0, 5.0, 4.0)
