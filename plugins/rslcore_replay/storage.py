"""A ring of the latest transitions.

Legend: N envs, C steps of capacity, B rows of a batch, K steps of the longest window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.batch import ReplayBatch
from rslcore.columns import copy_rows, take_group, unknown_column
from rslcore.context import Context
from rslcore.errors import CheckpointError, ExtensionError
from rslcore.memory import check_memory
from rslcore.modules import find_misfits
from rslcore.specs import TensorSpec
from rslcore_replay.config import ReplayConfig


class Replay:
    """Columns `[C, N, ...]` that are allocated once, written step by step and, when they are full, written over.

    The next observations are kept in columns of their own, so that a window may end anywhere: at the end of an episode,
    at the latest step, and where the oldest ones are written over. Which step is the latest is known on the host, so
    that sampling reads nothing from the device. Only where an env has rows that are no transitions, the others are
    looked for on the device, once after each step that was written.

    Nothing is allocated before the first write, so that a policy can be loaded for inference without the memory.

    Args:
        config: The options.
        context: Gives N, the observation groups and the device.

    Raises:
        ConfigError: The capacity is less than a step of all envs, or more than the device has room for.
    """

    def __init__(self, config: ReplayConfig, context: Context) -> None:
        self._num_envs = context.env_spec.num_envs
        self._capacity = config.capacity // self._num_envs
        if not self._capacity:
            raise context.error(
                "capacity", f"{config.capacity} has no room for a step of all {self._num_envs} envs; give more"
            )
        self._saves = config.save
        self._device = context.device
        self._groups = tuple(context.env_spec.observations)
        flag = TensorSpec((), "bool")
        self._fields = {"rewards": TensorSpec(()), "terminated": flag, "dones": flag}
        self._others = {"valid": flag}
        for group, spec in context.env_spec.observations.items():
            self._others |= {f"obs/{group}": spec, f"next_obs/{group}": spec}
        if context.env is not None:
            check_memory(context, f"{context.path}.capacity", config.capacity, self._others.values())
        self._columns: dict[str, Tensor] = {}  # those of `_fields` and of `_others`
        self._restored: Mapping[str, Tensor] = {}  # until there are columns
        self._valid_rows: Tensor | None = None
        self._has_invalid = False
        self._wrote_valid = False
        self._step = 0  # that is being written
        self._num_steps = 0  # that are complete

    def add_fields(self, fields: Mapping[str, TensorSpec]) -> None:
        """Declare columns. Raises ExtensionError for a name that is taken."""
        for name, spec in fields.items():
            if name in self._fields or name in self._others:
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
        if name not in self._columns:
            raise unknown_column(name, self._fields)
        copy_rows(f"column '{name}'", self._columns[name][self._step], rows)

    def write_obs(self, obs: TensorDict) -> None:
        """Copy the observation groups `[N, ...]` into the current step. Raises ExtensionError as `write`."""
        self._write_groups("obs", obs)

    def write_next_obs(self, obs: TensorDict) -> None:
        """Copy the true observation groups after the current step, `[N, ...]`. Raises ExtensionError as `write`."""
        self._write_groups("next_obs", obs)

    def _write_groups(self, prefix: str, obs: TensorDict) -> None:
        for group in self._groups:
            self.write(f"{prefix}/{group}", take_group(obs, group))

    def write_valid(self, valid: Tensor) -> None:
        """Say which rows of the current step are transitions, `[N]`, bool."""
        self.write("valid", valid)
        self._has_invalid = self._wrote_valid = True

    def advance(self) -> None:
        """The current step is complete."""
        if not self._wrote_valid:
            self._columns["valid"][self._step].fill_(True)
        self._wrote_valid = False
        self._valid_rows = None
        self._step = (self._step + 1) % self._capacity
        self._num_steps = min(self._num_steps + 1, self._capacity)

    # Reading

    @property
    def capacity(self) -> int:
        """Number of rows that can be held."""
        return self._capacity * self._num_envs

    @property
    def num_transitions(self) -> int:
        """Number of rows that are held, those that are no transitions among them."""
        return self._num_steps * self._num_envs

    def sample(self, num_rows: int, num_steps: int, gamma: float) -> ReplayBatch:
        """Windows of up to `num_steps` consecutive transitions of one env, drawn uniformly with replacement.

        To be called between two steps, not while one is being written.

        Args:
            num_rows: B, number of windows.
            num_steps: K, at least 1.
            gamma: Discount of a step.
        """
        if not self._columns:
            self._allocate()
        rows = self._draw(num_rows)
        windows, lengths = self._windows(rows, num_steps)
        last = windows.gather(1, lengths.unsqueeze(1) - 1).squeeze(1)
        steps = torch.arange(num_steps, device=self._device)
        rewards = self._flat("rewards")[windows] * (steps < lengths.unsqueeze(1))
        ends = self._flat("terminated").index_select(0, last)

        def gather(names: Mapping[str, str], rows: Tensor) -> dict[str, Tensor]:
            return {key: self._flat(name).index_select(0, rows) for key, name in names.items()}

        obs = gather({group: f"obs/{group}" for group in self._groups}, rows)
        next_obs = gather({group: f"next_obs/{group}" for group in self._groups}, last)
        return ReplayBatch(
            gather({name: name for name in self._fields}, rows),
            TensorDict(obs, batch_size=[num_rows]),
            num_rows,
            next_obs=TensorDict(next_obs, batch_size=[num_rows]),
            returns=(rewards * gamma**steps).sum(1),
            discounts=(gamma**lengths).masked_fill(ends, 0.0),
        )

    def _draw(self, num_rows: int) -> Tensor:
        """Rows `[B]` of the flat columns that are transitions."""
        if not self._has_invalid:
            return torch.randint(self.num_transitions, (num_rows,), device=self._device)
        if self._valid_rows is None:  # on a GPU this waits for the device
            self._valid_rows = self._columns["valid"][: self._num_steps].flatten().nonzero().squeeze(1)
        return self._valid_rows[torch.randint(len(self._valid_rows), (num_rows,), device=self._device)]

    def _windows(self, rows: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
        """The rows themselves and those after them, `[B, K]`, and how many of each are a window, `[B]`."""
        steps = torch.arange(num_steps, device=self._device)
        windows = (rows.unsqueeze(1) + steps * self._num_envs) % (self._capacity * self._num_envs)
        later = (self._step - 1 - rows // self._num_envs) % self._capacity  # steps that came after each row
        joined = (steps[1:] <= later.unsqueeze(1)) & ~self._flat("dones")[windows[:, :-1]]
        if self._has_invalid:
            joined &= self._flat("valid")[windows[:, 1:]]
        return windows, joined.cumprod(1).sum(1) + 1

    def _flat(self, name: str) -> Tensor:
        return self._columns[name].flatten(0, 1)

    def _allocate(self) -> None:
        for name, spec in (self._fields | self._others).items():
            dtype = getattr(torch, spec.dtype)
            column = torch.zeros(self._capacity, self._num_envs, *spec.shape, dtype=dtype, device=self._device)
            if self._restored:
                column[: self._num_steps].copy_(self._restored[name])
            self._columns[name] = column
        if self._restored:
            self._has_invalid = not bool(self._columns["valid"][: self._num_steps].all())
            self._restored = {}

    # State

    def state_dict(self) -> dict[str, Any]:
        """All that is held, and where the next step goes; nothing if checkpoints shall not hold it."""
        if not self._saves or not (self._columns or self._restored):
            return {}
        # A part of a column would be written to a file with all of the column's memory behind it.
        is_full = self._num_steps == self._capacity
        held = {
            name: column if is_full else column[: self._num_steps].clone() for name, column in self._columns.items()
        }
        return {"columns": held or dict(self._restored), "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `state_dict`; of more steps than there is room for, the latest are kept.

        Raises:
            CheckpointError: The columns are others, or those of another number of envs.
        """
        if not state:
            return
        specs, saved = self._fields | self._others, state["columns"]
        ours = {name: torch.empty(self._num_envs, *spec.shape, device="meta") for name, spec in specs.items()}
        if misfits := find_misfits("replay", ours, {name: column[0] for name, column in saved.items()}):
            raise CheckpointError("the checkpoint does not fit this config:\n  " + "\n  ".join(misfits))
        self._num_steps = min(len(saved["dones"]), self._capacity)
        if len(saved["dones"]) == self._capacity:
            self._step = state["step"] % self._capacity
        else:  # as if the steps had just been written to this ring, the oldest first
            saved = {name: column.roll(-state["step"], 0)[-self._num_steps :] for name, column in saved.items()}
            self._step = self._num_steps % self._capacity
        if not same_episodes:
            saved = {**saved, "dones": saved["dones"].clone()}
            saved["dones"][self._step - 1].fill_(True)  # the latest step
        self._restored, self._columns = saved, {}
