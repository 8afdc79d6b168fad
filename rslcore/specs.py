"""What an environment says of itself before it is stepped: shapes, types and bounds, without a tensor in sight.

Specs are plain data, so that they can stand in a checkpoint and a policy can be rebuilt without its environment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import cattrs


@attrs.frozen
class TensorSpec:
    """Shape and type of one row of a batched tensor.

    Attributes:
        shape: Without the batch dimensions; `()` for a scalar a row.
        dtype: Name of a torch dtype: `float32`, `int64`, `uint8`, `bool`.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Number of elements of a row."""
        return math.prod(self.shape)


@attrs.frozen
class ActionSpec:
    """What actions an env takes. A batch of them is `[N, A]`, float for continuous and int64 for discrete ones.

    Attributes:
        num_actions: A.
        num_choices: For discrete actions, the number of choices of each of the A actions; empty for continuous ones.
        low: For continuous actions, the smallest value of each that `Env.step` takes; -inf for none. Empty for discrete
            ones.
        high: Likewise the largest.
        names: What each action moves, such as a joint; empty if the env does not say. For people and for exported
            files: nothing depends on them, and two specs that differ in them alone are equal.
    """

    num_actions: int
    num_choices: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    names: tuple[str, ...] = attrs.field(default=(), eq=False)

    @property
    def is_discrete(self) -> bool:
        """Whether the actions are choices, not numbers."""
        return bool(self.num_choices)

    def __str__(self) -> str:
        if self.is_discrete:
            return f"{self.num_actions} discrete with {', '.join(map(str, self.num_choices))} choices"
        return f"{self.num_actions} continuous"


@attrs.frozen
class EnvSpec:
    """What a policy, a storage and an algorithm need to know of an env.

    Attributes:
        num_envs: N, the number of environments that are stepped at once.
        observations: The observation groups.
        actions: The actions.
        max_episode_length: Steps after which an episode is truncated, or None if the env does not say.
        keeps_final_obs: Whether `EnvStep.final_obs` holds the true last observation of an episode that has ended.
    """

    num_envs: int
    observations: Mapping[str, TensorSpec]
    actions: ActionSpec
    max_episode_length: int | None = None
    keeps_final_obs: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and scalars, for a checkpoint."""
        plain: dict[str, Any] = cattrs.unstructure(self)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> EnvSpec:
        """The inverse of `to_dict`."""
        return cattrs.structure(plain, cls)
