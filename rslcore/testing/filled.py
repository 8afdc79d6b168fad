"""A storage that is written as an algorithm writes it, and what was written.

Legend: N envs, T steps of a rollout.
"""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.batch import Batch
from rslcore.context import Context
from rslcore.specs import TensorSpec
from rslcore.testing.inputs import make_observations
from rslcore.testing.module_checks import expect_unchanged
from rslcore.testing.values import copied, difference, expect


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
        self._given: dict[str, list[Tensor]] = {}
        self._copies: list[tuple[Any, Any]] = []
        for step in range(self._context.num_steps_per_env if num_steps is None else num_steps):
            self.write_step(step)

    def columns(self, step: int) -> dict[str, Tensor]:
        """Rows `[N, ...]` of each column: random numbers, the number of each row, and the ends of some episodes."""
        num_envs, device = self._context.env_spec.num_envs, self._context.device
        return {
            "extra": torch.randn(num_envs, 2, generator=self._generator).to(device),
            "index": torch.arange(step * num_envs, (step + 1) * num_envs, device=device),
            "dones": (torch.arange(num_envs, device=device) + step) % 4 == 3,
        }

    def write_step(self, step: int) -> None:
        """Write a step."""
        spec, device = self._context.env_spec, self._context.device
        rows, obs = self.columns(step), make_observations(spec, spec.num_envs, device, seed=step)
        self._copies += [(value, copied(value)) for value in (*rows.values(), obs)]
        for name, value in rows.items():
            self._given.setdefault(name, []).append(value.clone())
            self.storage.write(name, value)
        self.steps.append(obs.clone())
        self.storage.write_obs(obs)
        if self._invalid:
            self.valid.append((torch.arange(spec.num_envs, device=device) + step) % 3 != 0)
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
