"""Observation groups as a network's inputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import listed, nearest


def vector_size(context: Context, groups: Sequence[str]) -> int:
    """Number of features of 1-D observation groups together.

    Raises:
        ConfigError: The env has no such group, or a group is not 1-D; says which groups there are.
    """
    specs = context.env_spec.observations
    if not groups:
        raise context.error("groups", f"names no observation group; the env has {listed(specs)}")
    for group in groups:
        if group not in specs:
            raise context.error(
                "groups", f"the env has no observation group '{group}'{nearest(group, specs)} (it has {listed(specs)})"
            )
        if len(specs[group].shape) != 1:
            raise context.error(
                "groups", f"group '{group}' has shape {list(specs[group].shape)}, this network reads 1-D groups only"
            )
    return sum(specs[group].size for group in groups)


def concatenate(obs: TensorDict, groups: Sequence[str]) -> Tensor:
    """1-D observation groups as one float tensor `[B, D]`."""
    if len(groups) == 1:
        only: Tensor = obs[groups[0]]
        return only if only.is_floating_point() else only.float()
    return torch.cat([obs[group].float() for group in groups], dim=-1)
