"""What a rollout storage promises: T steps come back as they were written.

Legend: N envs, T steps of a rollout, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rslcore import protocols
from rslcore.context import Context
from rslcore.testing.contracts.base import promised
from rslcore.testing.contracts.storage import StorageContract
from rslcore.testing.filled import Filled
from rslcore.testing.values import copied, difference, expect


class RolloutStorageContract(StorageContract):
    """Of rollout storages: T steps come back as they were written."""

    @pytest.fixture
    def filled(self, build: Callable[..., Any], context: Context) -> Filled:
        """A storage with T steps."""
        return Filled(build(), context)

    def _promised(self, built: Any) -> list[str]:
        return promised(protocols.RolloutStorage)

    def test_columns_hold_what_was_written(self, filled: Filled) -> None:
        """`[T, N, ...]`, whatever became of what was handed in."""
        for name in ("extra", "index", "dones"):
            gap = difference(filled.written(name), copied(filled.storage.column(name)))
            expect(gap is None, f"A column is [T, N, ...] and holds what was written. '{name}' does not: {gap}.")
        gap = difference(copied(filled.obs()), copied(filled.storage.observations()))
        expect(gap is None, f"`observations()` are those of all steps, [T * N, ...], step by step. {gap}.")

    def test_rows_that_are_no_transitions_are_left_out(self, build: Callable[..., Any], context: Context) -> None:
        """Those that `write_valid` says are none."""
        filled = Filled(build(), context)
        expect(filled.storage.valid is None, "`valid` is None where nothing was said of validity. It is not.")
        filled = Filled(build(), context, invalid=True)
        valid = torch.stack(filled.valid)
        expect(torch.equal(filled.storage.valid, valid), "`valid` is [T, N], what `write_valid` said. It is not.")
        kept = filled.obs()[valid.flatten()]
        gap = difference(copied(kept), copied(filled.storage.valid_observations()))
        expect(gap is None, f"`valid_observations()` are those of transitions, in their order. {gap}.")
        rows = _indices(filled.storage.mini_batches(2, 1))
        expect(
            set(rows) <= set(filled.flat("index")[valid.flatten()].tolist()),
            "Minibatches have no row that is no transition. One has.",
        )

    @pytest.mark.parametrize("shuffle", ["epoch", "rollout", "none"])
    def test_an_epoch_has_every_row_once(self, filled: Filled, shuffle: Any) -> None:
        """And its columns and observations belong together."""
        storage, count = filled.storage, len(filled.flat("index"))
        batches = list(storage.mini_batches(2, 2, shuffle=shuffle))
        expect(len(batches) == 4, f"Two minibatches in two epochs are 4. There were {len(batches)}.")
        first, second = _indices(batches[:2]), _indices(batches[2:])
        for rows in (first, second):
            expect(sorted(rows) == list(range(count)), "An epoch has every row of the rollout once. It has not.")
        if shuffle == "none":
            expect(first == list(range(count)), "With `shuffle='none'` rows stay in their order. They do not.")
        expect((first == second) == (shuffle != "epoch"), "Rows are permuted anew with `shuffle='epoch'` alone.")
        for batch in batches:
            filled.check_rows(batch)

    def test_a_seed_permutes_alike(self, filled: Filled) -> None:
        """By torch's generator."""
        orders = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            orders.append(_indices(filled.storage.mini_batches(2, 1)))
        expect(orders[0] == orders[1], "With one seed of torch minibatches are the same. They are not.")
        expect(orders[0] != orders[2], "With another seed minibatches are others. They are not.")

    def test_sequences_are_whole(self, filled: Filled, context: Context) -> None:
        """Each env's steps, cut where an episode ended, in packed order."""
        rows, sequences = filled.storage.sequences()
        expect(
            sorted(rows.tolist()) == list(range(len(filled.flat("index")))),
            "`sequences()` has every row once. It has not.",
        )
        filled.check_sequences(rows, sequences)
        batches = list(filled.storage.mini_batches(2, 1, sequential=True))
        expect(
            sorted(_indices(batches)) == list(range(len(filled.flat("index")))),
            "With `sequential` an epoch has every row once. It has not.",
        )
        for batch in batches:
            filled.check_rows(batch)
            filled.check_sequences(batch["index"], batch.sequences)

    def test_windows_follow_one_another(self, filled: Filled, context: Context) -> None:
        """`num_steps` steps of all envs at a time."""
        num_envs = context.env_spec.num_envs
        for sequential in (False, True):
            batches = list(filled.storage.windows(3, sequential=sequential))
            expected = [3] * (context.num_steps_per_env // 3)
            expected += [context.num_steps_per_env % 3] if context.num_steps_per_env % 3 else []
            expect(
                [len(batch) for batch in batches] == [steps * num_envs for steps in expected],
                f"Windows of 3 steps have {expected} steps of all envs. They have "
                f"{[len(batch) for batch in batches]} rows.",
            )
            first = 0
            for batch, steps in zip(batches, expected, strict=True):
                rows = list(range(first * num_envs, (first + steps) * num_envs))
                expect(sorted(batch["index"].tolist()) == rows, "Windows have the steps in their order. They have not.")
                filled.check_rows(batch)
                first += steps

    def test_clear_begins_a_new_rollout(self, filled: Filled) -> None:
        """Nothing of the old one is handed out."""
        filled.storage.clear()
        filled.refill(seed=9)
        gap = difference(filled.written("extra"), copied(filled.storage.column("extra")))
        expect(gap is None, f"After `clear` columns are written from the first step on. {gap}.")
        expect(filled.storage.valid is None, "After `clear` all rows are transitions again. They are not.")


def _indices(batches: Any) -> list[int]:
    """The numbers of all rows of minibatches, in their order."""
    return [int(row) for batch in batches for row in batch["index"].tolist()]
