"""Storage of one rollout.

Legend: N envs, T steps of a rollout, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.specs import TensorSpec
from rslcore_rollout.config import RolloutConfig


class RolloutStorage:
    """Columns `[T, N, ...]` that are allocated once and written step by step.

    Nothing is allocated before the first write, so that a policy can be loaded for inference without the memory.

    Args:
        config: Has no options.
        context: Gives N, T, the observation groups and the device.
    """

    def __init__(self, config: RolloutConfig, context: Context) -> None:
        self._leading = (context.num_steps_per_env, context.env_spec.num_envs)
        self._device = context.device
        self._groups = context.env_spec.observations
        self._fields: dict[str, TensorSpec] = {}
        self._obs: dict[str, Tensor] = {}
        self._columns: dict[str, Tensor] = {}
        # The same, step by step: making these views anew at every write would cost as much as the copy.
        self._obs_rows: dict[str, tuple[Tensor, ...]] = {}
        self._rows: dict[str, tuple[Tensor, ...]] = {}
        self._valid: Tensor | None = None
        self._all_valid = True
        self._step = 0

    def add_fields(self, fields: Mapping[str, TensorSpec]) -> None:
        """Declare columns. Raises ValueError for a name that is taken."""
        for name, spec in fields.items():
            if name in self._fields or name == "obs":
                raise ValueError(f"the storage has a field '{name}' already; choose another name")
            self._fields[name] = spec

    def write(self, name: str, rows: Tensor) -> None:
        """Copy `rows [N, ...]` into the current step of a column."""
        if not self._columns:
            self._allocate()
        self._rows[name][self._step].copy_(rows)

    def write_obs(self, obs: TensorDict) -> None:
        """Copy the observation groups `[N, ...]` into the current step."""
        if not self._columns:
            self._allocate()
        for group, rows in self._obs_rows.items():
            rows[self._step].copy_(obs[group])

    def write_valid(self, valid: Tensor) -> None:
        """Say which rows of the current step are transitions, `[N]`, bool."""
        if self._valid is None:
            self._valid = torch.ones(self._leading, dtype=torch.bool, device=self._device)
        self._valid[self._step].copy_(valid)
        self._all_valid = False

    def advance(self) -> None:
        """The current step is complete."""
        self._step += 1

    def column(self, name: str) -> Tensor:
        """A column `[T, N, ...]`."""
        return self._columns[name]

    def observations(self) -> TensorDict:
        """The observation groups of all steps, `[T * N, ...]`."""
        flat = {group: column.flatten(0, 1) for group, column in self._obs.items()}
        return TensorDict(flat, batch_size=[self._leading[0] * self._leading[1]])

    @property
    def valid(self) -> Tensor | None:
        """Which rows are transitions, `[T, N]`; None if all are."""
        return None if self._all_valid else self._valid

    def mini_batches(self, num_mini_batches: int, num_epochs: int) -> Iterator[TensorDict]:
        """Minibatches `[B]` of all valid transitions, under a fresh permutation each epoch.

        B is the number of valid transitions / `num_mini_batches`, rounded down; the rows left over, fewer than
        `num_mini_batches`, differ from epoch to epoch.
        """
        obs = {group: column.flatten(0, 1) for group, column in self._obs.items()}
        columns = {name: column.flatten(0, 1) for name, column in self._columns.items()}
        # On a GPU this waits for the device: once an iteration, and only for envs that have invalid rows at all.
        rows = None if self.valid is None else self.valid.flatten().nonzero().squeeze(1)
        count = self._leading[0] * self._leading[1] if rows is None else len(rows)
        size = count // num_mini_batches
        for _ in range(num_epochs):
            permutation = torch.randperm(count, device=self._device)
            if rows is not None:
                permutation = rows[permutation]
            for index in permutation[: size * num_mini_batches].split(size):
                batch = {name: column.index_select(0, index) for name, column in columns.items()}
                batch_obs = {group: column.index_select(0, index) for group, column in obs.items()}
                yield TensorDict({**batch, "obs": TensorDict(batch_obs, batch_size=[size])}, batch_size=[size])

    def clear(self) -> None:
        """Begin a new rollout."""
        self._step = 0
        if self._valid is not None:
            self._valid.fill_(True)
            self._all_valid = True

    def _allocate(self) -> None:
        def zeros(spec: TensorSpec) -> Tensor:
            return torch.zeros(*self._leading, *spec.shape, dtype=getattr(torch, spec.dtype), device=self._device)

        self._obs = {group: zeros(spec) for group, spec in self._groups.items()}
        self._columns = {name: zeros(spec) for name, spec in self._fields.items()}
        self._obs_rows = {group: column.unbind() for group, column in self._obs.items()}
        self._rows = {name: column.unbind() for name, column in self._columns.items()}
