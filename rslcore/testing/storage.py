"""What a storage promises: that all are written alike, and what a rollout storage gives back.

Legend: N envs, T steps of a rollout, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
from rslcore.batch import Batch
from rslcore.context import Context
from rslcore.specs import TensorSpec
from rslcore.testing.contract import Contract, Options, promised
from rslcore.testing.fakes import make_observations
from rslcore.testing.modules import expect_no_reads, expect_unchanged
from rslcore.testing.values import copied, difference, expect


class StorageContract(Contract):
    """Of all storages: how they are written."""

    kind: ClassVar[str] = "storage"

    @pytest.fixture
    def storage(self, component: Options) -> Options:
        """The component."""
        return component

    @pytest.fixture
    def filled(self, build: Callable[..., Any], context: Context) -> Filled:
        """A storage with T steps."""
        return Filled(build(), context)

    def test_a_name_is_declared_once(self, build: Callable[..., Any]) -> None:
        """A second column of a name is a ValueError."""
        storage = build()
        storage.add_fields({"extra": TensorSpec((2,))})
        for name in ("extra", "dones"):
            with pytest.raises(ValueError) as caught:  # noqa: PT011 - any text that names it
                storage.add_fields({name: TensorSpec((2,))})
            expect(
                name in str(caught.value),
                f"A column that is declared already is a ValueError that names it. '{caught.value}' does not name "
                f"'{name}'.",
            )

    def test_writing_reads_nothing_and_changes_nothing(self, build: Callable[..., Any], context: Context) -> None:
        """Rows are copied, on the device."""
        filled = Filled(build(), context, num_steps=1)
        filled.check_untouched()
        storage = Filled(build(), context, num_steps=0)
        steps = iter(range(context.num_steps_per_env))
        expect_no_reads(lambda: storage.write_step(next(steps)), "Writing a step")

    def test_another_shape_is_refused(self, build: Callable[..., Any], context: Context) -> None:
        """Rows of a wrong shape are an error, not spread over the column."""
        filled = Filled(build(), context, num_steps=1)
        wrong = torch.zeros(context.env_spec.num_envs + 1, 2, device=context.device)
        with pytest.raises(Exception):  # noqa: B017, PT011 - which one is the storage's choice
            filled.storage.write("extra", wrong)


class RolloutStorageContract(StorageContract):
    """Of rollout storages: T steps come back as they were written."""

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


class Filled:
    """A storage that T steps are written to, and what was written.

    Args:
        storage: Empty.
        context: Gives N, T and the groups.
        num_steps: Steps to write; T by default.
        invalid: Whether some rows are no transitions.
    """

    def __init__(self, storage: Any, context: Context, num_steps: int | None = None, invalid: bool = False) -> None:
        self.storage, self._context, self._invalid = storage, context, invalid
        storage.add_fields({"extra": TensorSpec((2,)), "index": TensorSpec((), "int64")})
        self.refill(num_steps=context.num_steps_per_env if num_steps is None else num_steps)

    def refill(self, seed: int = 0, num_steps: int | None = None) -> None:
        """Write a rollout."""
        self._generator = torch.Generator().manual_seed(seed)
        self.steps: list[TensorDict] = []
        self.valid: list[Tensor] = []
        self._given: dict[str, list[Tensor]] = {"extra": [], "index": [], "dones": []}
        self._copies: list[tuple[Any, Any]] = []
        for step in range(self._context.num_steps_per_env if num_steps is None else num_steps):
            self.write_step(step)

    def write_step(self, step: int) -> None:
        """Write a step: random rows, the number of each row, and the ends of some episodes."""
        context, device = self._context, self._context.device
        num_envs = context.env_spec.num_envs
        rows = {
            "extra": torch.randn(num_envs, 2, generator=self._generator).to(device),
            "index": torch.arange(step * num_envs, (step + 1) * num_envs, device=device),
            "dones": (torch.arange(num_envs, device=device) + step) % 4 == 3,
        }
        obs = make_observations(context.env_spec, num_envs, device, seed=step)
        self._copies += [(value, copied(value)) for value in (*rows.values(), obs)]
        for name, value in rows.items():
            self._given[name].append(value.clone())
            self.storage.write(name, value)
        self.steps.append(obs.clone())
        self.storage.write_obs(obs)
        if self._invalid:
            self.valid.append((torch.arange(num_envs, device=device) + step) % 3 != 0)
            self.storage.write_valid(self.valid[-1])
        self.storage.advance()

    def written(self, name: str) -> Tensor:
        """A column `[T, N, ...]` as it was handed in."""
        return torch.stack(self._given[name])

    def flat(self, name: str) -> Tensor:
        """The same, `[T * N, ...]`."""
        return self.written(name).flatten(0, 1)

    def obs(self) -> TensorDict:
        """The observations of all steps, `[T * N, ...]`."""
        observations: TensorDict = torch.cat(self.steps)  # type: ignore[arg-type, assignment]
        return observations

    def check_untouched(self) -> None:
        """Fail if a row that was handed in is another now."""
        for value, before in self._copies:
            expect_unchanged(before, value, "A storage")

    def check_rows(self, batch: Batch) -> None:
        """Fail unless columns and observations of a minibatch are those of its rows."""
        rows = batch["index"]
        gap = difference(self.flat("extra")[rows], copied(batch["extra"])) or difference(
            copied(self.obs()[rows]), copied(batch.obs)
        )
        expect(gap is None, f"Columns and observations of a minibatch are of the same rows. They are not: {gap}.")
        expect(batch.num_original == len(batch), "`num_original` of a minibatch is its number of rows. It is not.")

    def check_sequences(self, rows: Tensor, sequences: Any) -> None:
        """Fail unless rows in packed order are sequences of one env each, that end where its episodes do."""
        num_envs, dones = self._context.env_spec.num_envs, self.flat("dones")
        expect(
            torch.equal(rows % num_envs, sequences.envs[sequences.of_rows]),
            "A sequence is of one env, the one in `Sequences.envs`. It is not.",
        )
        for sequence in range(len(sequences.envs)):
            own = rows[sequences.of_rows == sequence]
            follows = torch.equal(own[1:], own[:-1] + num_envs)
            expect(follows, "The rows of a sequence follow one another, step by step. They do not.")
            expect(not bool(dones[own[:-1]].any()), "A sequence ends where its episode ended. It goes on.")


def _indices(batches: Any) -> list[int]:
    """The numbers of all rows of minibatches, in their order."""
    return [int(row) for batch in batches for row in batch["index"].tolist()]
