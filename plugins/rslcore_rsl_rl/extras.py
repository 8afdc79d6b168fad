"""What is beside observations and rewards in the extras of rsl_rl's envs: logs, and final observations.

The projects write into one dict at every step, and into some entries of it only where an episode ends. So what is read
here may be that of an earlier step, and is copied.

Legend: N envs, K of them with an episode that has ended.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.errors import EnvError
from rslcore_rsl_rl.observations import POLICY, chosen_rows, read_groups, tensors_of

FINAL_KEYS = ("final_obs", "terminal", "final_observation", "terminal_observation")
"""Under which true last observations are found: of Isaac Lab, of mjlab, of Gymnasium before 1.1, and of others."""

FINAL_SETTINGS = ("compute_final_obs", "capture_terminal_observations")
"""Entries of an env's cfg that switch them on: of Isaac Lab, and as proposed for mjlab."""


def read_log(extras: Mapping[str, Any], device: torch.device) -> dict[str, Tensor | float]:
    """What the env wants to have logged, by name: numbers, or scalar tensors, means over what was given.

    It is in `extras["episode"]` or else in `extras["log"]`, as rsl_rl reads them. What is no number is left out.
    """
    given = extras["episode"] if "episode" in extras else extras.get("log")
    log: dict[str, Tensor | float] = {}
    for name, value in given.items() if isinstance(given, Mapping) else ():
        if isinstance(value, Tensor) and value.numel():
            log[str(name)] = value.detach().to(device).float().mean()  # a mean is a copy too
        elif isinstance(value, numbers.Real):
            log[str(name)] = float(value)
        elif isinstance(value, numpy.ndarray) and value.size and numpy.issubdtype(value.dtype, numpy.number):
            log[str(name)] = float(value.mean())
    return log


def find_final(extras: Mapping[str, Any]) -> str | None:
    """The key under which there are final observations."""
    return next((key for key in FINAL_KEYS if extras.get(key) is not None), None)


def read_final(extras: Mapping[str, Any], obs: TensorDict, dones: Tensor) -> TensorDict | None:
    """True last observations `[N, ...]` where episodes have ended, and `obs` elsewhere; None if there are none.

    Args:
        extras: Of a step. It has them under one of `FINAL_KEYS`: as observations of all envs; as those of K envs, with
            `{"env_ids": [K], "observations": ...}`; or as an array, or a list, of N items, None where none ended.
        obs: The observations after the step, `[N, ...]`, as they are handed on.
        dones: Which episodes have ended, `[N]`, bool.

    Raises:
        EnvError: They have other groups or shapes than `obs`.
    """
    key = find_final(extras)
    if key is None:
        return None
    given = extras[key]
    if isinstance(given, Mapping) and {"env_ids", "observations"} <= given.keys():
        groups = _spread(read_groups(given["observations"]), given["env_ids"], obs)
    elif isinstance(given, list) or (isinstance(given, numpy.ndarray) and given.dtype == object):
        groups = _spread(*_stacked(given), obs)
    else:
        groups = read_groups(given)
    misfits = [
        f"{name}: {list(groups[name].shape) if name in groups else 'missing'} instead of {list(now.shape)}"
        for name, now in tensors_of(obs).items()
        if name not in groups or groups[name].shape != now.shape
    ]
    if misfits:
        raise EnvError(f"extras['{key}'] should have the observation groups of the step: {', '.join(misfits)}")
    return chosen_rows(dones, groups, obs)


def _spread(rows: Mapping[str, Tensor], envs: Tensor, obs: TensorDict) -> dict[str, Tensor]:
    """Observations of all envs, with those of K of them replaced."""
    groups = {}
    for name, now in tensors_of(obs).items():
        if name in rows and rows[name].shape[1:] == now.shape[1:]:
            groups[name] = now.index_copy(0, envs.to(now.device), rows[name].to(now))
        elif name in rows:
            groups[name] = rows[name]  # as it is, for the message
    return groups


def _stacked(items: Any) -> tuple[dict[str, Tensor], Tensor]:
    """Observations of the envs that have some, `[K, ...]`, and which envs these are, `[K]`."""
    envs = [index for index, item in enumerate(items) if item is not None]
    each = [item if isinstance(item, Mapping) else {POLICY: item} for item in (items[index] for index in envs)]
    rows = {name: torch.stack([torch.as_tensor(item[name]) for item in each]) for name in (each[0] if each else ())}
    return rows, torch.tensor(envs, dtype=torch.int64)
