"""What is saved of numbers that went wrong, so that they can be looked at: plain tensors, bounded in size.

Legend: N envs, E of them saved, T steps of a rollout, S of them kept, A actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.batch import Batch
from rslcore.protocols import EnvStep, RolloutStorage
from rslcore.specs import EnvSpec

LIMIT = 64 * 2**20
"""Bytes of observations, last ones among them, that are kept of a rollout, and bytes of columns that are saved."""

MAX_ENVS = 16
"""Envs that are saved, where it is known which gave bad numbers."""

FLAGS = ("rewards", "terminated", "truncated", "valid")
"""What is kept of a step as `[N]`."""


@attrs.frozen
class KeptStep:
    """What a step is saved by: tensors that were there anyway, without their graphs.

    Attributes:
        actions: `[N, A]`.
        obs: After it, groups `[N, ...]`.
        flags: `rewards`, `terminated`, `truncated` and `valid`, `[N]`; the last one only if the env gave it.
        final_obs: Groups `[N, ...]`, if the env gave them.
    """

    actions: Tensor
    obs: Mapping[str, Tensor]
    flags: Mapping[str, Tensor]
    final_obs: Mapping[str, Tensor] | None


class KeptSteps:
    """The latest steps of the rollout as the env gave them: all T, or as many as `LIMIT` has room for.

    They are not copied: an env does not write into what it has given.

    Args:
        spec: The env's.
        num_steps: T.
    """

    def __init__(self, spec: EnvSpec, num_steps: int) -> None:
        row = sum(row.size * getattr(torch, row.dtype).itemsize for row in spec.observations.values())
        size = spec.num_envs * row * (2 if spec.keeps_final_obs else 1)
        self._room = max(1, min(num_steps, LIMIT // max(1, size)))
        self._steps: deque[KeptStep] = deque(maxlen=self._room)
        self._obs: Mapping[str, Tensor] = {}  # before the first of them
        self._num_envs = spec.num_envs
        self._num_steps = 0

    def begin(self, obs: TensorDict) -> None:
        """A new rollout begins with observations `[N, ...]`."""
        self._steps.clear()
        self._obs = _detached(obs)
        self._num_steps = 0

    def add(self, actions: Tensor, step: EnvStep) -> None:
        """Keep a step."""
        if len(self._steps) == self._room:
            self._obs = self._steps[0].obs
        flags = {name: getattr(step, name) for name in FLAGS}
        obs = _detached(step.obs)
        if step.final_obs is None or step.final_obs is step.obs:
            final_obs = None if step.final_obs is None else obs
        else:
            final_obs = _detached(step.final_obs)
        flags = {name: flag.detach() for name, flag in flags.items() if flag is not None}
        self._steps.append(KeptStep(actions.detach(), obs, flags, final_obs))
        self._num_steps += 1

    def state_dict(self, envs: Sequence[int] | None = None) -> dict[str, Any]:
        """What is kept of some envs, or of all, on the CPU.

        Returns:
            `envs [E]`, int64; `first_step`, the number of the first step that is kept, counted from 1; `obs`, groups
            `[S + 1, E, ...]`, before each step and after the last; `actions [S, E, A]`; `rewards`, `terminated`,
            `truncated` and `valid`, `[S, E]`; `final_obs`, groups `[E, ...]` by step, where the env gave them.
        """
        chosen = list(range(self._num_envs)) if envs is None else list(envs)
        index = torch.tensor(chosen, dtype=torch.int64)

        def rows(tensor: Tensor) -> Tensor:
            return tensor[index.to(tensor.device)].cpu()

        def stacked(tensors: list[Tensor]) -> Tensor:
            return torch.stack(tensors) if tensors else torch.zeros(0, len(chosen))

        first_step = self._num_steps - len(self._steps) + 1
        seen = [self._obs, *(step.obs for step in self._steps)]
        all_valid = torch.ones(self._num_envs, dtype=torch.bool)
        return {
            "envs": index,
            "first_step": first_step,
            "obs": {group: torch.stack([rows(obs[group]) for obs in seen]) for group in self._obs},
            "actions": stacked([rows(step.actions) for step in self._steps]),
            **{name: stacked([rows(step.flags.get(name, all_valid)) for step in self._steps]) for name in FLAGS},
            "final_obs": {
                first_step + number: {group: rows(tensor) for group, tensor in step.final_obs.items()}
                for number, step in enumerate(self._steps)
                if step.final_obs is not None
            },
        }


def _detached(obs: TensorDict) -> dict[str, Tensor]:
    return {group: obs[group].detach() for group in map(str, obs.keys())}


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
