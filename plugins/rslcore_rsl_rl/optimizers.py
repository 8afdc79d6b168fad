"""The state of torch's optimizers, by parameter, and of ours, flat vectors by group of parameters.

Both make the same steps from the same moments, so that a run goes on with those that it had. Parameters are called by
rsl_rl's names, `actor.mlp.0.weight`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from rslcore.errors import listed

_ADAM = {"mean": "exp_avg", "mean_square": "exp_avg_sq"}
MOMENTS: dict[str, dict[str, str]] = {
    "adam": _ADAM,
    "adamw": _ADAM,
    "rmsprop": {"mean_square": "square_avg"},
    "sgd": {},
}
"""What the moments of each of our optimizers are called here and in torch."""

_CLASSES: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

Group = Mapping[str, torch.Size]
"""The parameters of a group of ours, in its order, with their shapes."""


@attrs.frozen
class TorchMoments:
    """What one of torch's optimizers keeps.

    Attributes:
        by_name: Of each parameter that was stepped: moments and steps by their names in torch.
        learning_rate: Of the first group.
        fault: Why it cannot be told which moments are whose; empty if it can.
    """

    by_name: Mapping[str, Mapping[str, Any]]
    learning_rate: float | None
    fault: str = ""


def read_torch_state(state: Any, names: Sequence[str]) -> TorchMoments:
    """Read the `state_dict` of one of torch's optimizers.

    Args:
        state: As `torch.optim.Optimizer.state_dict` gives it.
        names: Of the parameters, in the order in which the optimizer was given them; one that was given twice has two.
    """
    try:
        groups = state["param_groups"]
        indices = [index for group in groups for index in group["params"]]
        learning_rate = float(groups[0]["lr"])
        states = dict(state["state"])
    except (TypeError, KeyError, IndexError, ValueError):
        return TorchMoments({}, None, "it is no state of an optimizer of torch")
    if len(indices) != len(names):
        fault = f"it has {len(indices)} parameters, the models beside it have {len(names)}"
        return TorchMoments({}, learning_rate, fault)
    by_name = {name: states[index] for name, index in zip(names, indices, strict=True) if index in states}
    return TorchMoments(by_name, learning_rate)


def to_flat(theirs: TorchMoments, ours: Mapping[str, Any], groups: Sequence[Group]) -> tuple[dict[str, Any], str]:
    """The state of an optimizer of ours with the moments of one of torch's.

    Args:
        theirs: From `read_torch_state`.
        ours: `Optimizer.state_dict()`, of a fresh one.
        groups: The parameters of its first groups. What further groups have, those of extensions, stays.

    Returns:
        The state, and why nothing was carried over, empty if it was.
    """
    fault = theirs.fault or _misfit(theirs, ours["name"], groups)
    if fault:
        return dict(ours), fault
    names = MOMENTS[ours["name"]]
    entries = [theirs.by_name[name] for group in groups for name in group if name in theirs.by_name]
    # Encoders that two models of rsl_rl share are stepped twice there, hence the smallest number.
    steps = min((float(entry["step"]) for entry in entries if "step" in entry), default=0.0)
    filled = [
        {"steps": torch.full_like(old["steps"], steps), **{each: old[each] for each in names}} for old in ours["groups"]
    ]
    for group, new in zip(groups, filled, strict=False):
        for mine, name in names.items():
            like = new[mine]
            parts = [_flat(theirs.by_name.get(each, {}).get(name), shape, like) for each, shape in group.items()]
            new[mine] = torch.cat(parts)
    return {**ours, "groups": filled}, ""


def _misfit(theirs: TorchMoments, optimizer: str, groups: Sequence[Group]) -> str:
    """Why the moments are not those that an optimizer of ours keeps; empty if they are."""
    names = MOMENTS[optimizer].values()
    for group in groups:
        for parameter, shape in group.items():
            entry = theirs.by_name.get(parameter)
            if entry is None:
                continue
            if lost := set(names) - set(entry):
                kept = listed(name for name, value in entry.items() if isinstance(value, Tensor) and name != "step")
                return f"'{optimizer}' needs {listed(lost)}, and it keeps {kept}: it is of another optimizer"
            for name in names:
                if not isinstance(entry[name], Tensor) or entry[name].shape != shape:
                    return f"'{name}' of {parameter} has another shape than the parameter"
    return ""


def _flat(moment: Tensor | None, shape: torch.Size, like: Tensor) -> Tensor:
    """A moment as a vector; zeros for a parameter that was never stepped."""
    if moment is None:
        return like.new_zeros(math.prod(shape))
    return moment.detach().reshape(-1).to(like)


def to_torch_state(
    ours: Mapping[str, Any], names: Sequence[str], groups: Sequence[Group], learning_rate: float
) -> dict[str, Any]:
    """The `state_dict` of torch's optimizer of the same name, with the moments of ours.

    Args:
        ours: `Optimizer.state_dict()`.
        names: Of the parameters, in the order in which torch's optimizer is given them; a name may stand twice.
        groups: The parameters of our first groups. A parameter that is in none of them was never stepped.
        learning_rate: To go on with.
    """
    like = _CLASSES[ours["name"]]([torch.zeros(1, requires_grad=True)], lr=learning_rate)  # type: ignore[call-arg]
    settings = like.state_dict()["param_groups"][0]
    first = {name: index for index, name in reversed(list(enumerate(names)))}
    return {
        "state": {first[name]: entry for name, entry in _entries(ours, groups).items()},
        "param_groups": [{**settings, "params": [first[name] for name in names]}],
    }


def _entries(ours: Mapping[str, Any], groups: Sequence[Group]) -> dict[str, dict[str, Tensor]]:
    """Moments and steps of each parameter under their names in torch; none before the first step."""
    names = MOMENTS[ours["name"]]
    entries: dict[str, dict[str, Tensor]] = {}
    for group, kept in zip(groups, ours["groups"], strict=False):
        if not names or not float(kept["steps"]):
            continue
        sizes = [math.prod(shape) for shape in group.values()]
        parts = {theirs: kept[mine].split(sizes) for mine, theirs in names.items()}
        for index, (parameter, shape) in enumerate(group.items()):
            moments = {theirs: part[index].reshape(shape) for theirs, part in parts.items()}
            entries[parameter] = {"step": kept["steps"].detach().float().cpu().clone(), **moments}
    return entries
