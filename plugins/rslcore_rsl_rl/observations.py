"""Observations of rsl_rl's envs as named groups, in every form that rsl_rl and the projects have given them.

| form | of | groups |
|---|---|---|
| `TensorDict`, or a dict of tensors | rsl-rl-lib from 3.0 | its own; those of dicts in it are called `outer/inner` |
| tensor | Genesis, legged_gym | `policy` |
| `(tensor, tensor)` | rsl_rl 1.x: actor and critic | `policy`, `critic` |
| `(tensor, {"observations": {name: tensor}})` | rsl-rl-lib 2.x | `policy`, and those of the dict |

Legend: N envs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor

from rslcore.errors import EnvError

POLICY = "policy"
"""The group of an env that names none, as rsl_rl called it."""

CRITIC = "critic"
"""What rsl_rl 1.x called privileged observations when it gave groups names."""

FORMS = (
    "a TensorDict or a dict of tensors, a tensor, a pair of tensors for actor and critic, or a tensor with a dict that "
    "has the key 'observations'"
)


def read_groups(given: object, beside: object = None) -> dict[str, Any]:
    """The groups by name, as the env gave them: neither copied nor checked.

    Args:
        given: What `get_observations`, `reset` or `step` gave as observations.
        beside: What came with it: privileged observations `[N, ...]`, or extras.

    Raises:
        EnvError: It has none of the forms above.
    """
    if isinstance(given, tuple) and len(given) == 2:
        given, beside = given
    if _is_dict(given):
        return dict(_flat(given))
    if not isinstance(given, Tensor):
        raise EnvError(f"observations should be {FORMS}; they are {kind_of(given)}")
    groups: dict[str, Any] = {}
    if isinstance(beside, Tensor):
        groups[CRITIC] = beside
    elif _is_dict(beside) and _is_dict(others := beside.get("observations")):  # type: ignore[attr-defined]
        groups = dict(_flat(others))
    return {**groups, POLICY: given}


def group_problems(groups: Mapping[str, Any], num_envs: int) -> list[str]:
    """What is wrong with groups that should be tensors `[N, ...]`, a line each."""
    return [
        problem
        for name, group in groups.items()
        if (problem := row_problem(f"the observations '{name}'", group, num_envs, "[{}, ...]"))
    ] or ([] if groups else ["there are no observations"])


def row_problem(name: str, value: Any, num_rows: int, form: str) -> str:
    """What is wrong with what should be a tensor with a row for each env; empty if nothing is.

    Args:
        name: What it is called.
        value: As the env gave it.
        num_rows: N.
        form: `[{}, ...]`, or `[{}]` where nothing may follow.
    """
    expected = form.format(num_rows)
    if not isinstance(value, Tensor):
        return f"{name} should be a tensor {expected}, they are {kind_of(value)}"
    is_right = value.shape[:1] == (num_rows,) and ("..." in form or value.ndim == 1)
    return "" if is_right else f"{name} should be {expected}, they are {list(value.shape)}"


def to_observations(groups: Mapping[str, Tensor], num_envs: int, device: torch.device) -> TensorDict:
    """Copies that the env does not write into, on a device: floats of any width as float32, others as they are."""
    return TensorDict({name: copied(group, device) for name, group in groups.items()}, batch_size=[num_envs])


def copied(tensor: Tensor, device: torch.device) -> Tensor:
    """One copy, whether or not type and device change with it."""
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to(device, dtype, copy=True)


def chosen_rows(chosen: Tensor, groups: Mapping[str, Tensor], others: TensorDict) -> TensorDict:
    """Rows of `groups` where `chosen [N]` is True, and of `others` elsewhere; all are `[N, ...]`."""
    joined = {}
    for name, other in tensors_of(others).items():
        flags = chosen.to(other.device).view(-1, *(1,) * (other.ndim - 1))
        joined[name] = torch.where(flags, groups[name].to(other), other)
    return TensorDict(joined, batch_size=others.batch_size)


def tensors_of(obs: TensorDict) -> dict[str, Tensor]:
    """The groups, all of which are tensors."""
    return {name: obs[name] for name in map(str, obs.keys())}


def kind_of(thing: object) -> str:
    """What something is, for messages."""
    if isinstance(thing, tuple):
        return f"a tuple of {', '.join(map(kind_of, thing))}"
    return "None" if thing is None else f"a {type(thing).__name__}"


def _is_dict(thing: object) -> bool:
    return isinstance(thing, Mapping | TensorDictBase)


def _flat(groups: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in groups.items():
        name = f"{prefix}{key}"
        if _is_dict(value):
            yield from _flat(value, f"{name}/")
        elif value is not None:  # what a wrapper has no use for, as MuJoCo Playground's critic
            yield name, value
