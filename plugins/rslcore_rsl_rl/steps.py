"""What `step` of rsl_rl's envs gives, taken apart and checked.

Legend: N envs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from rslcore.errors import EnvError
from rslcore_rsl_rl.observations import group_problems, kind_of, read_groups, row_problem


@attrs.frozen
class RawStep:
    """One step, as the env gave it: tensors that it may write into again.

    Attributes:
        groups: Observations, `[N, ...]`.
        rewards: `[N]`, of any type of number.
        dones: `[N]`, of any type.
        time_outs: `[N]`, of any type; may be of an earlier step where no episode ended. None if the env gives none.
        extras: All that came with it.
    """

    groups: Mapping[str, Tensor]
    rewards: Tensor
    dones: Tensor
    time_outs: Tensor | None
    extras: Mapping[str, Any]


def take_apart(given: object, is_of_rsl_rl_1: bool) -> tuple[object, object, object, object, object]:
    """Observations, privileged ones, rewards, dones and extras; privileged ones were given by rsl_rl 1.x alone.

    Args:
        given: What `step` has returned.
        is_of_rsl_rl_1: Whether the env is of rsl_rl 1.x's kind. Five values of another one are Gymnasium's, whose third
            is no reward.

    Raises:
        EnvError: They are not four or five values, or Gymnasium's.
    """
    if isinstance(given, tuple) and len(given) == 5 and not is_of_rsl_rl_1:
        raise EnvError(
            "it gave five values, as Gymnasium's envs do; rsl_rl's give four: observations, rewards, dones (terminated "
            "| truncated) and extras, with truncated as extras['time_outs']"
        )
    if not isinstance(given, tuple) or len(given) not in (4, 5):
        expected = "observations, rewards, dones and extras, or as in rsl_rl 1.x observations, privileged ones, ..."
        raise EnvError(f"it should be {expected}; it is {kind_of(given)}")
    obs, *privileged, rewards, dones, extras = given
    return obs, privileged[0] if privileged else None, rewards, dones, extras


def read_step(
    obs: object, privileged: object, rewards: Any, dones: Any, extras: object, num_envs: int
) -> tuple[RawStep | None, list[str]]:
    """The step, or all that is wrong with it, a line each.

    Raises:
        EnvError: The observations have none of the forms that there are.
    """
    extras = {} if extras is None else extras
    if not isinstance(extras, Mapping):
        return None, [f"the extras should be a dict, they are {kind_of(extras)}"]
    groups = read_groups(obs, extras if privileged is None else privileged)
    time_outs = extras.get("time_outs")
    rows = {"the rewards": rewards, "the dones": dones}
    if time_outs is not None:
        rows["the extras['time_outs']"] = time_outs
    problems = group_problems(groups, num_envs)
    problems += filter(None, (row_problem(name, row, num_envs, "[{}]") for name, row in rows.items()))
    if isinstance(rewards, Tensor) and rewards.dtype == torch.bool:
        problems.append("the rewards should be numbers, they are bool; Gymnasium's envs need the project's wrapper")
    return (None if problems else RawStep(groups, rewards, dones, time_outs, extras)), problems
