"""What is saved of numbers that went wrong, so that they can be looked at: plain tensors, bounded in size.

Legend: N envs, E of them saved, T steps of a rollout, S of them kept, A actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.batch import Batch
from rslcore.protocols import EnvStep, RolloutStorage
from rslcore.specs import EnvSpec

LIMIT = 64 * 2**20
"""Bytes of observations that are kept of a rollout, and bytes of columns that are saved."""

MAX_ENVS = 16
"""Envs that are saved, where it is known which gave bad numbers."""


class KeptSteps:
    """The latest steps of the rollout as the env gave them: all T, or as many as `LIMIT` has room for.

    They are not copied: an env does not write into what it has given.

    Args:
        spec: The env's.
        num_steps: T.
    """

    def __init__(self, spec: EnvSpec, num_steps: int) -> None:
        size = sum(row.size * getattr(torch, row.dtype).itemsize for row in spec.observations.values())
        self._room = max(1, min(num_steps, LIMIT // max(1, spec.num_envs * size)))
        self._steps: deque[tuple[Tensor, EnvStep]] = deque(maxlen=self._room)
        self._obs: TensorDict | None = None  # before the first of them
        self._num_steps = 0

    def begin(self, obs: TensorDict) -> None:
        """A new rollout begins with observations `[N, ...]`."""
        self._steps.clear()
        self._obs = obs
        self._num_steps = 0

    def add(self, actions: Tensor, step: EnvStep) -> None:
        """Keep a step."""
        if len(self._steps) == self._room:
            self._obs = self._steps[0][1].obs
        self._steps.append((actions.detach(), step))
        self._num_steps += 1

    def state_dict(self, envs: Sequence[int] | None = None) -> dict[str, Any]:
        """What is kept of some envs, or of all, on the CPU.

        Returns:
            `envs [E]`, int64; `first_step`, the number of the first step that is kept, counted from 1; `obs`, groups
            `[S + 1, E, ...]`, before each step and after the last; `actions [S, E, A]`; `rewards`, `terminated`,
            `truncated` and `valid`, `[S, E]`; `final_obs`, groups `[E, ...]` by step, where the env gave them.
        """
        chosen = list(range(len(self._obs))) if envs is None and self._obs is not None else list(envs or ())
        index = torch.tensor(chosen, dtype=torch.int64)

        def rows(tensor: Tensor) -> Tensor:
            return tensor.detach()[index.to(tensor.device)].cpu()

        def stacked(tensors: list[Tensor]) -> Tensor:
            return torch.stack(tensors) if tensors else torch.zeros(0, len(chosen))

        first_step = self._num_steps - len(self._steps) + 1
        steps = [step for _, step in self._steps]
        seen = [obs for obs in (self._obs, *(step.obs for step in steps)) if obs is not None]
        flags = {name: stacked([rows(getattr(step, name)) for step in steps]) for name in ("terminated", "truncated")}
        valid = [rows(torch.ones_like(step.dones) if step.valid is None else step.valid) for step in steps]
        return {
            "envs": index,
            "first_step": first_step,
            "obs": {
                group: torch.stack([rows(obs[group]) for obs in seen]) for group in (seen[0].keys() if seen else ())
            },
            "actions": stacked([rows(actions) for actions, _ in self._steps]),
            "rewards": stacked([rows(step.rewards) for step in steps]),
            **flags,
            "valid": stacked(valid),
            "final_obs": {
                first_step + number: {group: rows(step.final_obs[group]) for group in map(str, step.final_obs.keys())}
                for number, step in enumerate(steps)
                if step.final_obs is not None
            },
        }


def saved_columns(algorithm: object) -> dict[str, Tensor]:
    """The columns of an algorithm's rollout, `[T * N, ...]`, or of its first steps, as many as `LIMIT` has room for.

    With what extensions and the algorithm have derived, `obs/<group>` among them; empty for an algorithm without one.
    """
    storage = getattr(algorithm, "storage", None)
    if not isinstance(storage, RolloutStorage):
        return {}
    for first in storage.windows(1):
        size = sum(column.nbytes for column in _all_columns(first).values())
        for batch in storage.windows(max(1, LIMIT // max(1, size))):
            return {name: column.detach().cpu() for name, column in _all_columns(batch).items()}
    return {}


def _all_columns(batch: Batch) -> dict[str, Tensor]:
    return {**batch.columns, **{f"obs/{group}": batch.obs[group] for group in map(str, batch.obs.keys())}}
