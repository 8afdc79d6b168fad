"""Copies weights and statistics between rslcore's networks and rsl_rl's models.

Every tensor of either side must have its place on the other one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

NAMES = (
    (r"layers\.(.+)", r"mlp.\1"),
    (r"rnn\.(.+)", r"rnn.rnn.\1"),
    (r"encoders\.(.+)", r"cnns.\1"),
    (r"normalizer\.(\w+)", r"obs_normalizer.\1"),
    (r"(predictor|target|state_normalizer)\.(.+)", r"\1.\2"),
    (r"reward_scale\.statistics\.(\w+)", r"reward_normalizer.emp_norm.\1"),
)
"""Names of rslcore's tensors, and rsl_rl's for the same ones."""

STATISTICS = {"mean": "_mean", "variance": "_var", "count": "count"}
"""What a normalizer's tensors are called."""

DERIVED = "_std"
"""The tensor of rsl_rl's normalizers that follows from another one."""


def renamed_tensors(module: nn.Module, distribution: nn.Module | None = None) -> dict[str, Tensor]:
    """The tensors of a network or an extension of ours, and of the distribution of a network's outputs, under the names
    that rsl_rl has for them.
    """
    tensors = {rename(name): tensor for name, tensor in module.state_dict().items()}
    std = None if distribution is None else distribution.state_dict().get("std_parameter")
    if std is not None:
        tensors["distribution.log_std_param" if distribution._is_log else "distribution.std_param"] = std
    return tensors


def rename(name: str) -> str:
    """rsl_rl's name for a tensor."""
    for ours, theirs in NAMES:
        if (match := re.fullmatch(ours, name)) is not None:
            owner, _, last = match.expand(theirs).rpartition(".")
            return f"{owner}.{STATISTICS[last]}" if re.search("norm(alizer)?$", owner) else f"{owner}.{last}"
    raise KeyError(f"rsl_rl has no place for {name}")


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
    theirs = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(f".{DERIVED}")}
    if left_over := like.keys() ^ theirs.keys():
        raise KeyError(f"without a counterpart: {sorted(left_over)}")
    return {name: theirs[name].view_as(tensor) for name, tensor in like.items()}
