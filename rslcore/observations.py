"""Observation groups as a network's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import listed, nearest
from rslcore.specs import TensorSpec


def find_groups(context: Context, groups: Sequence[str], field: str = "groups") -> dict[str, TensorSpec]:
    """The specs of observation groups that a config names.

    Args:
        context: Has the env's spec.
        groups: Their names.
        field: Where the config names them, for messages.

    Raises:
        ConfigError: The env has no such group, and says which there are; or one is named twice.
    """
    specs = context.env_spec.observations
    if not groups:
        raise context.error(field, f"names no observation group; the env has {listed(specs)}")
    for index, group in enumerate(groups):
        if group not in specs:
            raise context.error(
                field, f"the env has no observation group '{group}'{nearest(group, specs)} (it has {listed(specs)})"
            )
        if group in groups[:index]:
            raise context.error(field, f"names the observation group '{group}' twice")
    return {group: specs[group] for group in groups}


def vector_size(context: Context, groups: Sequence[str], field: str = "groups") -> int:
    """Number of features of 1-D observation groups together.

    Raises:
        ConfigError: As `find_groups`, or a group is not 1-D.
    """
    specs = find_groups(context, groups, field)
    for group, spec in specs.items():
        if len(spec.shape) != 1:
            hint = "; images are read by the network 'cnn'" if len(spec.shape) == 3 else ""
            raise context.error(
                field, f"group '{group}' has shape {list(spec.shape)}, only 1-D groups can be read here{hint}"
            )
    return sum(spec.size for spec in specs.values())


def concatenate(obs: TensorDict, groups: Sequence[str]) -> Tensor:
    """1-D observation groups as one float tensor `[B, D]`."""
    if len(groups) == 1:
        only: Tensor = obs[groups[0]]
        return only.float()
    return torch.cat([obs[group].float() for group in groups], dim=-1)


Rows = TypeVar("Rows", Tensor, TensorDict)


def join_valid(steps: Sequence[tuple[Rows, Tensor | None]]) -> Rows:
    """Rows of several steps in one, without those that are no transitions.

    Args:
        steps: Of each step its rows `[N, ...]`, and which are transitions, `[N]`, bool; None if all are.

    Returns:
        `[B, ...]`. Where some step has a mask, the device is waited for, once.
    """
    rows: Any = torch.cat([rows for rows, _ in steps])  # torch's types know nothing of a TensorDict
    if all(valid is None for _, valid in steps):
        return cast(Rows, rows)
    masks = [
        torch.ones(len(rows), dtype=torch.bool, device=rows.device) if valid is None else valid for rows, valid in steps
    ]
    return cast(Rows, rows[torch.cat(masks).nonzero().squeeze(1)])
