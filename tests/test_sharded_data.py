"""N envs of one process, and the same ones spread over several, give the same update to rounding.

tests/reliability/test_ranks.py compares all cases on two ranks and on four.
"""

from __future__ import annotations

import pytest
from shard_runs import ALL, SAME_UPDATE, compare, fill, final_state, run


@pytest.mark.parametrize("case", ["minibatch_advantages", "rnd_symmetry", "estimator", "distillation"])
def test_two_ranks_learn_what_one_process_learns(two_ranks, shard_files, tmp_path, case):
    compare(two_ranks, fill(SAME_UPDATE[case], shard_files), tmp_path)


def test_four_ranks_learn_what_one_process_learns(four_ranks, shard_files, tmp_path):
    compare(four_ranks, fill(SAME_UPDATE["recurrent_rnd_symmetry"], shard_files), tmp_path)


def test_statistics_of_amp_begin_with_all_motions(four_ranks, shard_files, tmp_path):
    overrides = fill(ALL["extensions"], shard_files, "iterations=1")
    whole, _ = run(overrides, str(tmp_path / "1"))
    parts = four_ranks.run(run, overrides, str(tmp_path / "4"), four_ranks.device)[0][0]
    counts = [final_state(path, 1)["/modules/amp/module/normalizer.count"] for path in (whole, parts)]
    # 12 pairs, and as many of the reference as of the rollout, of which uneven rows are left out.
    assert counts[0] == counts[1] == 12 + 2 * (64 - 9)
