"""Storage of one rollout.

Legend: N envs, T steps of a rollout, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs
import numpy
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.batch import Batch
from rslcore.columns import copy_rows, take_group, unknown_column
from rslcore.config import Shuffle
from rslcore.context import Context
from rslcore.errors import ExtensionError
from rslcore.memory import check_memory
from rslcore.recurrence import Sequences, split_sequences
from rslcore.specs import TensorSpec
from rslcore_rollout.config import RolloutConfig

MAX_KEPT_BYTES = 2**27
"""Size of a rollout up to which its minibatches are kept from epoch to epoch, which takes as much memory once more.

Of a larger one, the observations of every minibatch are put where those of the one before were.
"""


class RolloutStorage:
    """Columns `[T, N, ...]` that are allocated once and written step by step.

    Nothing is allocated before the first write, so that a policy can be loaded for inference without the memory.

    Args:
        config: Has no options.
        context: Gives N, T, the observation groups and the device.

    Raises:
        ConfigError: The device has no room for the observations.
    """

    def __init__(self, config: RolloutConfig, context: Context) -> None:
        self._leading = (context.num_steps_per_env, context.env_spec.num_envs)
        self._device = context.device
        self._groups = context.env_spec.observations
        self._fields = {"dones": TensorSpec((), "bool")}
        if context.env is not None:
            num_rows = self._leading[0] * self._leading[1]
            check_memory(context, "runner.num_steps_per_env", num_rows, self._groups.values())
        # Groups whose columns lie in memory otherwise than the env has declared them.
        is_cpu = context.device.type == "cpu"
        self._images = {group for group, spec in self._groups.items() if is_cpu and len(spec.shape) == 3}
        self._obs: dict[str, Tensor] = {}
        self._columns: dict[str, Tensor] = {}
        # The same, step by step: making these views anew at every write would cost as much as the copy.
        self._obs_rows: dict[str, tuple[Tensor, ...]] = {}
        self._rows: dict[str, tuple[Tensor, ...]] = {}
        self._valid: Tensor | None = None
        self._all_valid = True
        self._step = 0

    def add_fields(self, fields: Mapping[str, TensorSpec]) -> None:
        """Declare columns. Raises ExtensionError for a name that is taken."""
        for name, spec in fields.items():
            if name in self._fields:
                raise ExtensionError(f"the storage has a field '{name}' already; choose another name")
            self._fields[name] = spec

    # Writing

    def write(self, name: str, rows: Tensor) -> None:
        """Copy `rows [N, ...]` into the current step of a column.

        Raises:
            ExtensionError: There is no such column, or the rows have another shape.
        """
        if not self._columns:
            self._allocate()
        if name not in self._rows:
            raise unknown_column(name, self._fields)
        copy_rows(f"column '{name}'", self._rows[name][self._step], rows)

    def write_obs(self, obs: TensorDict) -> None:
        """Copy the observation groups `[N, ...]` into the current step.

        Raises:
            ExtensionError: A group is missing, or has another shape.
        """
        if not self._columns:
            self._allocate()
        for group, rows in self._obs_rows.items():
            copy_rows(f"group '{group}'", rows[self._step], take_group(obs, group))

    def write_valid(self, valid: Tensor) -> None:
        """Say which rows of the current step are transitions, `[N]`, bool."""
        if self._valid is None:
            self._valid = torch.ones(self._leading, dtype=torch.bool, device=self._device)
        self._valid[self._step].copy_(valid)
        self._all_valid = False

    def advance(self) -> None:
        """The current step is complete."""
        self._step += 1

    def clear(self) -> None:
        """Begin a new rollout."""
        self._step = 0
        if self._valid is not None:
            self._valid.fill_(True)
            self._all_valid = True
        self.__dict__.pop("_on_host", None)

    # Reading

    def column(self, name: str) -> Tensor:
        """A column `[T, N, ...]`."""
        return self._columns[name]

    def observations(self) -> TensorDict:
        """The observation groups of all steps, `[T * N, ...]`."""
        flat = {group: self._declared(group, column.flatten(0, 1)) for group, column in self._obs.items()}
        return TensorDict(flat, batch_size=[self._leading[0] * self._leading[1]])

    def valid_observations(self) -> TensorDict:
        """Those of valid transitions, `[B, ...]`."""
        if self.valid is None:
            return self.observations()
        rows = self.valid.flatten().nonzero().squeeze(1)
        return TensorDict({group: self._select(group, rows) for group in self._obs}, batch_size=[len(rows)])

    @property
    def valid(self) -> Tensor | None:
        """Which rows are transitions, `[T, N]`; None if all are."""
        return None if self._all_valid else self._valid

    def sequences(self) -> tuple[Tensor, Sequences]:
        """The rollout as sequences: rows of `observations()` in packed order, `[B]`, and how they follow one another.

        On a GPU this waits for the device, once a rollout.
        """
        return self._split()

    def mini_batches(
        self, num_mini_batches: int, num_epochs: int, *, shuffle: Shuffle = "rollout", sequential: bool = False
    ) -> Iterator[Batch]:
        """Minibatches of all valid transitions; the observations of one last until the next is asked for.

        Args:
            num_mini_batches: In an epoch. What does not divide is left out: fewer rows, or envs, than this number. If
                there are fewer at all, so are the minibatches; one without a row is never handed out.
            num_epochs: Passes over the rollout.
            shuffle: When rows are permuted: in every epoch, once for all of them, or never.
            sequential: Cut the envs in minibatches, not the rows, and hand out each env's sequences whole, with the
                rows in packed order.
        """
        # On a GPU, finding valid rows waits for the device: once a rollout, and only if there are others.
        rows = None if sequential or self.valid is None else self.valid.flatten().nonzero().squeeze(1)
        count = self._leading[1] if sequential else self._leading[0] * self._leading[1] if rows is None else len(rows)
        size = max(1, count // num_mini_batches)
        device = torch.device("cpu") if sequential else self._device  # sequences are found on the host
        # The epochs have the same minibatches unless rows are permuted for each.
        is_large = self._num_bytes() > MAX_KEPT_BYTES
        keeps = shuffle != "epoch" and num_epochs > 1 and not is_large
        kept: list[Batch] = []
        places: dict[str, Tensor] | None = {} if is_large else None
        for epoch in range(num_epochs):
            if kept:
                yield from map(_fresh, kept)
                continue
            if shuffle == "none":
                permutation = torch.arange(count, device=device)
            elif epoch == 0 or shuffle == "epoch":
                permutation = torch.randperm(count, device=device)
            for part in permutation[: size * num_mini_batches].split(size):
                if sequential:
                    place, sequences = self._split(envs=part)
                    batches = self._gather(place, attrs.evolve(sequences, needs_ends=False), places)
                else:
                    batches = self._gather(part if rows is None else rows[part], None, places)
                for batch in batches:
                    if keeps:
                        kept.append(_fresh(batch))
                    yield batch

    def windows(self, num_steps: int, *, sequential: bool = False) -> Iterator[Batch]:
        """Batches of `num_steps` consecutive steps of all envs, in their order; the last one may be shorter.

        Steps without any transition make no batch.
        """
        total, num_envs = self._leading
        valid = None if self.valid is None else self.valid.flatten()
        for first in range(0, total, num_steps):
            steps = slice(first, min(first + num_steps, total))
            if sequential:
                yield from self._gather(*self._split(steps))
            else:
                rows = torch.arange(steps.start * num_envs, steps.stop * num_envs, device=self._device)
                yield from self._gather(rows if valid is None else rows[valid[rows]], None)

    def _gather(
        self, rows: Tensor, sequences: Sequences | None, places: dict[str, Tensor] | None = None
    ) -> Iterator[Batch]:
        """The batch of these rows; none if there are none, since a mean over nothing would be NaN.

        Observation groups go to their `places`, which are made as they are needed; None for new ones each time.
        """
        if not len(rows):
            return
        columns = {name: column.flatten(0, 1).index_select(0, rows) for name, column in self._columns.items()}
        obs = {}
        for group, column in self._obs.items():
            place = None
            if places is not None:
                if group not in places or len(places[group]) < len(rows):
                    places[group] = column.new_empty(len(rows), *column.shape[2:])
                place = places[group][: len(rows)]
            obs[group] = self._select(group, rows, place)
        yield Batch(columns, TensorDict(obs, batch_size=[len(rows)]), len(rows), sequences)

    def _split(self, steps: slice = slice(None), envs: Tensor | None = None) -> tuple[Tensor, Sequences]:
        """Rows and sequences of some steps of some envs."""
        dones, valid = self._on_host
        return split_sequences(dones, valid, self._device, steps, None if envs is None else envs.numpy())

    @cached_property
    def _on_host(self) -> tuple[numpy.ndarray[Any, Any], numpy.ndarray[Any, Any] | None]:
        """`dones` and `valid` of the rollout, read once."""
        valid = self.valid
        return self._columns["dones"].cpu().numpy(), None if valid is None else valid.cpu().numpy()

    def _in_memory(self, group: str, spec: TensorSpec) -> TensorSpec:
        """How rows of a group lie in memory: images `[C, H, W]` on a CPU as `[H, W, C]`.

        oneDNN convolves them in less time if they are so, and turning a step as it is written takes less than turning
        all that networks, minibatches and epochs read of it. docs/performance.md has the figures.
        """
        return attrs.evolve(spec, shape=(*spec.shape[1:], spec.shape[0])) if group in self._images else spec

    def _declared(self, group: str, rows: Tensor) -> Tensor:
        """A view of what lies in memory as the env has declared it."""
        return rows.movedim(-1, -3) if group in self._images else rows

    def _select(self, group: str, rows: Tensor, place: Tensor | None = None) -> Tensor:
        """Rows of a group, copied as they lie in memory, in long runs."""
        return self._declared(group, torch.index_select(self._obs[group].flatten(0, 1), 0, rows, out=place))

    def _num_bytes(self) -> int:
        return sum(column.nbytes for column in (*self._columns.values(), *self._obs.values()))

    def _allocate(self) -> None:
        def zeros(spec: TensorSpec) -> Tensor:
            return torch.zeros(*self._leading, *spec.shape, dtype=getattr(torch, spec.dtype), device=self._device)

        self._obs = {group: zeros(self._in_memory(group, spec)) for group, spec in self._groups.items()}
        self._columns = {name: zeros(spec) for name, spec in self._fields.items()}
        self._obs_rows = {group: self._declared(group, column).unbind() for group, column in self._obs.items()}
        self._rows = {name: column.unbind() for name, column in self._columns.items()}


def _fresh(batch: Batch) -> Batch:
    """A batch of the same tensors; what is put into one of the two, the other does not have."""
    return attrs.evolve(batch, columns=dict(batch.columns), obs=batch.obs.copy(), states={}, samples={})
