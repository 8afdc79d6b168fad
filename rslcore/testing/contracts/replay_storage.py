"""What a replay storage promises: windows of what was written come back, whatever wraps around.

Legend: N envs, B windows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
from rslcore.batch import ReplayBatch
from rslcore.context import Context
from rslcore.testing.contracts.base import promised
from rslcore.testing.contracts.storage import StorageContract
from rslcore.testing.filled import Filled
from rslcore.testing.inputs import make_observations
from rslcore.testing.module_checks import expect_no_reads
from rslcore.testing.values import copied, difference, expect, expect_plain_state, through_a_file

GAMMA = 0.9
NUM_ROWS = 64


class ReplayStorageContract(StorageContract):
    """Of replay storages, which should have room for eight steps or more."""

    @pytest.fixture
    def filled(self, build: Callable[..., Any], context: Context) -> FilledReplay:
        """A storage with T steps, some rows of which are no transitions."""
        return FilledReplay(build(), context, invalid=True)

    def _promised(self, built: Any) -> list[str]:
        return promised(protocols.ReplayStorage)

    def _fill(self, storage: Any, context: Context, num_steps: int) -> Filled:
        return FilledReplay(storage, context, num_steps)

    def test_counts_what_it_holds(self, build: Callable[..., Any], context: Context) -> None:
        """N rows a complete step."""
        for num_steps in (0, 1, 5):
            storage = FilledReplay(build(), context, num_steps).storage
            expected = num_steps * context.env_spec.num_envs
            expect(
                storage.num_transitions == expected,
                f"`num_transitions` is N for each complete step, {expected} after {num_steps}. It is "
                f"{storage.num_transitions}.",
            )

    @pytest.mark.parametrize("num_steps", [1, 3])
    def test_windows_are_what_was_written(self, filled: FilledReplay, num_steps: int) -> None:
        """Rows, returns, discounts and next observations belong together."""
        filled.check_windows(filled.storage.sample(NUM_ROWS, num_steps, GAMMA), num_steps)

    def test_all_transitions_are_drawn(self, filled: FilledReplay) -> None:
        """And no row that is none."""
        drawn = set(filled.storage.sample(40 * NUM_ROWS, 1, GAMMA)["index"].tolist())
        transitions = set(filled.flat("index")[torch.stack(filled.valid).flatten()].tolist())
        expect(not drawn - transitions, "A row that is no transition is never drawn first. One was.")
        expect(drawn == transitions, "Every transition is drawn, sooner or later. Some never were.")

    def test_a_seed_draws_alike(self, filled: FilledReplay) -> None:
        """By torch's generator."""
        draws = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            draws.append(filled.storage.sample(NUM_ROWS, 1, GAMMA)["index"].tolist())
        expect(draws[0] == draws[1], "With one seed of torch the same windows are drawn. They were not.")
        expect(draws[0] != draws[2], "With another seed other windows are drawn. They were not.")

    def test_drawing_reads_nothing_on_the_host(self, filled: FilledReplay) -> None:
        """Once a minibatch would be too often."""
        expect_no_reads(lambda: filled.storage.sample(NUM_ROWS, 3, GAMMA), "`sample`")

    def test_state_holds_all_or_nothing(
        self, filled: FilledReplay, build: Callable[..., Any], context: Context
    ) -> None:
        """As its options say."""
        state = filled.storage.state_dict()
        expect_plain_state(state, type(filled.storage).__name__)
        other = FilledReplay(build(), context, num_steps=0).storage
        other.load_state_dict(through_a_file(state), same_episodes=True)
        expect(
            other.num_transitions in (0, filled.storage.num_transitions),
            f"A resumed run gets back all that was held, {filled.storage.num_transitions} rows, or nothing. It got "
            f"{other.num_transitions}.",
        )
        if other.num_transitions:
            filled.check_windows(other.sample(NUM_ROWS, 3, GAMMA), 3)


class FilledReplay(Filled):
    """A replay that steps are written to, with rewards, ends and what was observed after them."""

    def refill(self, seed: int = 0, num_steps: int | None = None) -> None:
        """Write steps."""
        self.next_steps: list[TensorDict] = []
        super().refill(seed, num_steps)

    def columns(self, step: int) -> dict[str, Tensor]:
        """A reward, and whether the episode ended in a terminal state, beside what any storage has."""
        columns = super().columns(step)
        rewards = torch.randn(len(columns["dones"]), generator=self._generator).to(self._context.device)
        return {**columns, "rewards": rewards, "terminated": columns["dones"] & (step % 2 == 0)}

    def write_step(self, step: int) -> None:
        """Write a step, and what was observed after it."""
        context = self._context
        following = make_observations(context.env_spec, context.env_spec.num_envs, context.device, seed=100 + step)
        self.next_steps.append(following.clone())
        self.storage.write_next_obs(following)
        super().write_step(step)

    def check_windows(self, batch: ReplayBatch, num_steps: int) -> None:
        """Fail unless each window is that which was written from its first row on."""
        self.check_rows(batch)
        following: TensorDict = torch.cat(self.next_steps)  # type: ignore[arg-type, assignment]
        lasts, returns, discounts = zip(*(self._window(row, num_steps) for row in batch["index"].tolist()), strict=True)
        gap = difference(torch.tensor(returns), copied(batch.returns).cpu(), tolerance=1e-4)
        expect(gap is None, f"`returns` are the discounted rewards of windows of up to {num_steps} steps. {gap}.")
        gap = difference(torch.tensor(discounts), copied(batch.discounts).cpu(), tolerance=1e-5)
        expect(gap is None, f"`discounts` are gamma^L, and 0 after a terminal state. {gap}.")
        goes_on = torch.tensor(discounts) > 0
        gap = difference(copied(following[list(lasts)][goes_on]), copied(batch.next_obs[goes_on]))
        expect(gap is None, f"`next_obs` is what was observed after the last step of a window. {gap}.")

    def _window(self, row: int, num_steps: int) -> tuple[int, float, float]:
        """The last row of the window that begins with a row, its return and its discount."""
        num_envs, dones = self._context.env_spec.num_envs, self.flat("dones").tolist()
        valid = torch.stack(self.valid).flatten().tolist() if self.valid else [True] * len(dones)
        rewards, terminated = self.flat("rewards").tolist(), self.flat("terminated").tolist()
        total, factor = 0.0, 1.0
        for _ in range(num_steps):
            total, factor, last = total + factor * rewards[row], factor * GAMMA, row
            row += num_envs
            if dones[last] or row >= len(dones) or not valid[row]:
                break
        return last, total, 0.0 if terminated[last] else factor
