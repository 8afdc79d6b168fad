"""How the tensors of networks, normalizers and distributions are called here and in rsl_rl 5, and how they differ.

The same modules in the same order are on both sides; only names differ, the shapes of a normalizer's statistics, and
that rsl_rl keeps a standard deviation beside the variance. A tensor of a policy here, `actor.layers.0.weight`, is one
of a model there, `mlp.0.weight` of the model `actor`: its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from rslcore.errors import CheckpointError, listed

PREFIXES = {
    "layers.": "mlp.",
    "rnn.": "rnn.rnn.",
    "encoders.": "cnns.",
    "normalizer.": "obs_normalizer.",
    "predictor.": "predictor.",
    "target.": "target.",
    "state_normalizer.": "state_normalizer.",
    "reward_scale.statistics.": "reward_normalizer.emp_norm.",
}
"""What the parts of networks, and those of random network distillation, are called here and there."""

STATISTICS = {"mean": "_mean", "variance": "_var", "count": "count"}
"""What the tensors of a normalizer are called here and there."""

DERIVED = "_std"
"""The tensor of rsl_rl's normalizers that follows from the variance, and has no counterpart here."""

STD = {"scalar": "distribution.std_param", "log": "distribution.log_std_param"}
"""What rsl_rl calls the standard deviation of a Gaussian, by `std_type`."""

MODELS = {"actor_critic": ("actor", "critic"), "student_teacher": ("student",)}
"""rsl_rl's models that a policy is made of, by the policy's name; the first one has the distribution."""

_NORMALIZER = re.compile(r"(?:normalizer|statistics|emp_norm)$")
_ORDER = ("state_normalizer", "reward_normalizer", "obs_normalizer", "distribution", "mlp", "rnn", "cnns")
_BUFFER = re.compile(
    r"(?:.*[._])?(?:normalizer|emp_norm)\.\w+|.*\.(?:running_mean|running_var|num_batches_tracked)", re.DOTALL
)


@attrs.frozen
class Place:
    """Where rsl_rl keeps a tensor.

    Attributes:
        model: `actor`, `critic`, `student`, `teacher` or `rnd`.
        name: In the model's `state_dict`.
    """

    model: str
    name: str

    def __str__(self) -> str:
        return f"{self.model}.{self.name}"


def rsl_rl_name(name: str) -> str:
    """rsl_rl's name of a tensor of a network or of random network distillation. Raises KeyError if it has none."""
    for ours, theirs in PREFIXES.items():
        if name.startswith(ours):
            owner, _, last = (theirs + name[len(ours) :]).rpartition(".")
            return f"{owner}.{STATISTICS[last] if _NORMALIZER.search(owner) else last}"
    raise KeyError(name)


def models_of(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """rsl_rl's models that a policy is made of, the one that acts first.

    Args:
        policy: The policy's config as plain data.

    Raises:
        CheckpointError: rsl_rl has no such policy.
    """
    kind = bare_name(policy)
    if kind not in MODELS:
        raise CheckpointError(f"rsl_rl has nothing like the policy '{kind}'; of ours it has {listed(MODELS)}")
    return MODELS[kind]


def places(keys: Iterable[str], policy: Mapping[str, Any]) -> dict[str, Place]:
    """Where rsl_rl keeps the tensors of a policy, by their names here.

    Args:
        keys: Of the policy's `state_dict`; what is no tensor of the policy's own, a teacher, is left out.
        policy: The policy's config as plain data.

    Raises:
        CheckpointError: rsl_rl has no such policy, or no place for some of the tensors; lists them all.
    """
    models, found, lost = models_of(policy), {}, []
    distribution = policy[models[0]]["distribution"]
    for key in keys:
        model, _, name = key.partition(".")
        try:
            if model in models:
                found[key] = Place(model, rsl_rl_name(name))
            elif key == "_distribution.std_parameter" and bare_name(distribution) == "gaussian":
                found[key] = Place(models[0], STD[distribution.get("std_type", "scalar")])
            elif key != "_extra_state":
                lost.append(key)
        except KeyError:
            lost.append(key)
    if lost:
        networks = "the networks 'mlp', 'lstm', 'gru', 'cnn'"
        raise CheckpointError(f"rsl_rl has no place for {listed(lost)} of this policy; of ours it has {networks}")
    return found


def rnd_places(keys: Iterable[str]) -> dict[str, Place]:
    """Where rsl_rl keeps the tensors of the extension `rnd`, by their names here."""
    return {key: Place("rnd", rsl_rl_name(key)) for key in keys}


def bare_name(component: Mapping[str, Any]) -> str:
    """The name of a component without that of its distribution."""
    return str(component["name"]).rpartition("/")[2]


def is_parameter(name: str) -> bool:
    """Whether a tensor of a model of rsl_rl's, of any version, is one that its optimizers are given."""
    return _BUFFER.fullmatch(name) is None


def in_order(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a model, or of random network distillation, in the order in which rsl_rl 5 has them."""
    ranks = {part: rank for rank, part in enumerate(_ORDER)}
    names = sorted(tensors, key=lambda name: ranks.get(name.partition(".")[0], len(ranks)))  # a stable sort
    return {name: tensors[name] for name in names}


def to_rsl_rl(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor of ours as rsl_rl has it, under its names there; with a variance goes the standard deviation.

    It is a view, not a copy, so that a file that holds both is not larger for it.

    Args:
        name: rsl_rl's.
        tensor: Ours.
    """
    owner, _, last = name.rpartition(".")
    view = tensor.detach()
    if not _NORMALIZER.search(owner):
        return {name: view}
    if last == "count":
        return {name: view.long()}
    if not owner.endswith("emp_norm"):  # of vectors, a batch of one; of a reward it is one number on both sides
        view = view.unsqueeze(0)
    return {name: view, f"{owner}.{DERIVED}": view.sqrt()} if last == "_var" else {name: view}


def to_ours(tensor: Tensor, like: Tensor) -> Tensor | None:
    """A tensor of rsl_rl's in the shape and type of ours, a copy; None if it is one of another size."""
    shape = tensor.shape[1:] if tensor.dim() == like.dim() + 1 and tensor.shape[0] == 1 else tensor.shape
    if shape != like.shape:
        return None
    return tensor.detach().reshape(like.shape).to(device=like.device, dtype=like.dtype, copy=True)


def is_derived(name: str) -> bool:
    """Whether a tensor of rsl_rl's follows from another one."""
    owner, _, last = name.rpartition(".")
    return last == DERIVED and _NORMALIZER.search(owner) is not None


def shown(tensor: Any) -> str:
    """A tensor's shape, for messages."""
    return str(list(tensor.shape)) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
