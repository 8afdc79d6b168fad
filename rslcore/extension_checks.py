"""What an extension may get wrong, found where it happens, with messages that name the extension and its hook."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
from rslcore.batch import Batch
from rslcore.errors import ExtensionError, listed, nearest_name
from rslcore.specs import TensorSpec

ALL_HOOKS = tuple(
    name for name, member in vars(protocols.Extension).items() if inspect.isfunction(member) and name[0] != "_"
)
"""Every hook by name, those with which an extension is built, saved and loaded among them."""


def check_hooks(name: str, extension: protocols.Extension) -> None:
    """Look for methods that an algorithm would never call, or could not.

    Args:
        name: The extension's name in the algorithm.
        extension: The extension.

    Raises:
        ExtensionError: A method is nearly called as a hook, or a hook takes other arguments.
    """
    for method in dir(type(extension)):
        if method.startswith("_") or not inspect.isfunction(function := getattr(type(extension), method)):
            continue
        if method in ALL_HOOKS:
            _check_arguments(name, method, function)
        elif near := nearest_name(method, ALL_HOOKS, similarity=0.8):
            raise ExtensionError(
                f"extension '{name}' has a method `{method}`, which no algorithm calls; did you mean `{near}`? "
                f"If it is the extension's own, call it `_{method}`"
            )


def _check_arguments(name: str, hook: str, function: Any) -> None:
    expected = list(inspect.signature(getattr(protocols.Extension, hook)).parameters)
    try:
        inspect.signature(function).bind(*expected)
    except TypeError:
        found = ", ".join(map(str, inspect.signature(function).parameters))
        raise ExtensionError(
            f"the hook `{hook}` of extension '{name}' takes ({found}); it is called with ({', '.join(expected)})"
        ) from None


def _check_losses(losses: Any, *_: Any) -> None:
    for name, loss in _mapping(losses).items():
        if not (isinstance(loss, tuple) and len(loss) == 2):
            raise ExtensionError(
                f"the loss '{name}' is {_describe(loss)}; return a pair of a scalar tensor and a weight"
            )
        if not isinstance(loss[0], Tensor):
            found = _describe(loss[0])
            raise ExtensionError(f"the loss '{name}' is a pair that begins with {found}; give a scalar tensor")
        if loss[0].shape != ():
            raise ExtensionError(
                f"the loss '{name}' has shape {list(loss[0].shape)}; a loss is a scalar: take its mean"
            )
        if not isinstance(loss[1], numbers.Real) or not math.isfinite(loss[1]):
            raise ExtensionError(f"the loss '{name}' has the weight {loss[1]!r}; a weight is a finite number")


def _check_metrics(metrics: Any, *_: Any) -> None:
    for name, value in _mapping(metrics).items():
        if not (isinstance(value, numbers.Real) or (isinstance(value, Tensor) and value.numel() == 1)):
            raise ExtensionError(f"the metric '{name}' is {_describe(value)}; a metric is a scalar: take its mean")


def _check_rewards(rewards: Any, transition: Any, given: Tensor) -> None:
    if not isinstance(rewards, Tensor) or rewards.shape != given.shape:
        raise ExtensionError(f"it returned {_describe(rewards)}; return rewards of shape {list(given.shape)}")


def _check_observations(obs: Any, given: TensorDict) -> None:
    if not isinstance(obs, TensorDict) or obs.batch_size != given.batch_size:
        raise ExtensionError(f"it returned {_describe(obs)}; return a TensorDict of {len(given)} rows")


def _check_batch(batch: Any, *_: Any) -> None:
    if not isinstance(batch, Batch):
        raise ExtensionError(f"it returned {_describe(batch)}; return a Batch, such as `attrs.evolve(batch, ...)`")


def _check_samplers(samplers: Any, *_: Any) -> None:
    _mapping(samplers)


RESULT_CHECKS: Mapping[str, Callable[..., None]] = {
    "before_act": _check_observations,
    "extend_final_obs": _check_observations,
    "shape_reward": _check_rewards,
    "samplers": _check_samplers,
    "augment": _check_batch,
    "losses": _check_losses,
    "metrics": _check_metrics,
}
"""For each hook that returns something: what looks at the result, given it and the hook's arguments.

None of them reads a tensor. They raise ExtensionError.
"""


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ExtensionError(f"it returned {_describe(value)}; return a dict, empty for nothing")
    return value


def _describe(value: Any) -> str:
    if isinstance(value, TensorDict):
        return f"a TensorDict of shape {list(value.batch_size)}"
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"


def check_group(extension: str, group: str, spec: TensorSpec, obs: TensorDict) -> None:
    """Raises ExtensionError if an extension has not added an observation group as it declares it."""
    if group not in obs:
        raise ExtensionError(f"extension '{extension}' declares the observation group '{group}' and does not add it")
    if tuple(obs[group].shape[1:]) != spec.shape:
        raise ExtensionError(
            f"extension '{extension}' declares the observation group '{group}' with rows of shape {list(spec.shape)}, "
            f"and adds {list(obs[group].shape[1:])}"
        )


def check_undeclared(given: TensorDict, seen: TensorDict, declared: Collection[str]) -> None:
    """Raises ExtensionError if `before_act` has added observation groups that `observation_groups` does not name."""
    undeclared = set(map(str, seen.keys())) - set(map(str, given.keys())) - set(declared)
    if undeclared:
        raise ExtensionError(
            f"`before_act` adds the observation groups {listed(undeclared)}, which no extension declares in "
            "`observation_groups`"
        )


def check_lengths(batch: Batch) -> None:
    """Raises ExtensionError if `augment` has left columns, observations and sequences of different lengths."""
    lengths = {f"column '{name}'": len(column) for name, column in batch.columns.items()}
    if batch.sequences is not None:
        lengths["the sequences (see `Sequences.tile`)"] = len(batch.sequences.of_rows)
    wrong = [f"{name} has {length}" for name, length in lengths.items() if length != len(batch)]
    if wrong:
        raise ExtensionError(f"`augment` returned observations of {len(batch)} rows, but {', '.join(wrong)}")
