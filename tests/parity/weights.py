"""Copies weights and statistics between rslcore's networks and rsl_rl's models.

Every tensor of either side must have its place on the other one.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rslcore_rsl_rl.weights import DERIVED, STD, is_derived, rsl_rl_name


def renamed_tensors(module: nn.Module, distribution: nn.Module | None = None) -> dict[str, Tensor]:
    """The tensors of a network or an extension of ours, and of the distribution of a network's outputs, under the names
    that rsl_rl has for them.
    """
    tensors = {rsl_rl_name(name): tensor for name, tensor in module.state_dict().items()}
    std = None if distribution is None else distribution.state_dict().get("std_parameter")
    if std is not None:
        tensors[STD["log" if distribution._is_log else "scalar"]] = std
    return tensors


@torch.no_grad()
def copy_to_theirs(ours: Mapping[str, Tensor], module: nn.Module) -> None:
    """Overwrite the tensors of a module of theirs with ours."""
    for name, tensor in their_tensors(module, ours).items():
        tensor.copy_(ours[name])
    for normalizer in module.modules():
        if hasattr(normalizer, DERIVED):
            getattr(normalizer, DERIVED).copy_(normalizer._var.sqrt())


@torch.no_grad()
def copy_to_ours(module: nn.Module, ours: Mapping[str, Tensor]) -> None:
    """The inverse."""
    for name, tensor in their_tensors(module, ours).items():
        ours[name].copy_(tensor)


def their_tensors(module: nn.Module, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a module of theirs, viewed in the shapes of ours.

    Raises:
        KeyError: A tensor of either side has no counterpart.
    """
    theirs = {name: tensor for name, tensor in module.state_dict().items() if not is_derived(name)}
    if left_over := like.keys() ^ theirs.keys():
        raise KeyError(f"without a counterpart: {sorted(left_over)}")
    return {name: theirs[name].view_as(tensor) for name, tensor in like.items()}
