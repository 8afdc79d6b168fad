"""What runs learn on one process, on two ranks and on four; and that ranks stay equal, bit by bit, for long.

    tox -e reliability -- tests/reliability/test_ranks.py

tests/test_sharded_data.py and tests/test_ranks.py are short forms for every day.
"""

from __future__ import annotations

import pytest
from ranks import RankPool, backends
from shard_runs import ALL, NOISE, SAME_UPDATE, TOLERANCE, compare, fill, run_and_hash

ITERATIONS = 200


POOLS = [
    pytest.param((num_ranks, *device.values), id=f"{num_ranks}-{device.id}", marks=device.marks)
    for num_ranks in (2, 4)
    for device in backends(num_ranks)
]


@pytest.fixture(scope="module", params=POOLS)
def pool(request):
    with RankPool(*request.param, timeout=1200.0) as processes:
        yield processes


@pytest.mark.parametrize("case", SAME_UPDATE)
def test_ranks_learn_what_one_process_learns(pool, shard_files, tmp_path, case):
    gap = compare(pool, fill(SAME_UPDATE[case], shard_files), tmp_path)
    print(f"\nranks compared: 1 and {pool.num_ranks}, {case}; largest relative difference: {gap:.1e} of {TOLERANCE}")


@pytest.mark.parametrize("case", ALL)
def test_ranks_stay_equal(pool, shard_files, tmp_path, case):
    overrides = fill(ALL[case], shard_files, f"iterations={ITERATIONS}", "runner.save_interval=1000")
    results = pool.run(run_and_hash, overrides, str(tmp_path), pool.device)
    assert len({digest for _, digest, _ in results}) == 1
    print(f"\nranks compared: {pool.num_ranks}, {case}; iterations: {ITERATIONS}; parameters that differ: 0")


def test_ranks_that_compile_stay_equal(pool, tmp_path):
    overrides = (NOISE, "algorithm.execution=compile")
    (_, *first), *others = pool.run(run_and_hash, overrides, str(tmp_path), pool.device)
    assert all(other == first for _, *other in others)
