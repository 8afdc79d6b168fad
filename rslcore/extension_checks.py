"""What an extension may get wrong, found where it happens, with messages that name the extension and its hook."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
from rslcore.batch import Batch
from rslcore.errors import ExtensionError, nearest, nearest_name

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


def check_loss(extension: str, name: str, loss: Any) -> None:
    """Raises ExtensionError if what the hook `losses` returned under a name is no `(scalar, weight)`."""
    if not (isinstance(loss, tuple) and len(loss) == 2 and isinstance(loss[0], Tensor)):
        raise ExtensionError(
            f"the loss '{name}' of extension '{extension}' is {_describe(loss)}; "
            "return a pair of a scalar tensor and a weight"
        )
    if loss[0].shape != ():
        raise ExtensionError(
            f"the loss '{name}' of extension '{extension}' has shape {list(loss[0].shape)}; "
            "a loss is a scalar: take its mean"
        )


def _describe(value: Any) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def check_rows(column: str, row: Tensor, rows: Tensor) -> None:
    """Raises ExtensionError if rows have another shape than a row of a column, over which a copy would spread them."""
    if rows.shape != row.shape:
        raise ExtensionError(f"{column} has rows of shape {list(row.shape)}, not {list(rows.shape)}")


def unknown_column(name: str, declared: Iterable[str]) -> ExtensionError:
    """The error for a column that is written and not declared."""
    near = nearest(name, declared)
    return ExtensionError(f"the storage has no column '{name}', which `fields` must declare{near}")


def take_group(obs: TensorDict, group: str) -> Tensor:
    """An observation group. Raises ExtensionError if it is missing."""
    if group not in obs:
        raise ExtensionError(f"there is no observation group '{group}' though an extension or the env declares it")
    rows: Tensor = obs[group]
    return rows


def check_lengths(batch: Batch) -> None:
    """Raises ExtensionError if `augment` has left columns, observations and sequences of different lengths."""
    lengths = {f"column '{name}'": len(column) for name, column in batch.columns.items()}
    if batch.sequences is not None:
        lengths["the sequences (see `Sequences.tile`)"] = len(batch.sequences.of_rows)
    wrong = [f"{name} has {length}" for name, length in lengths.items() if length != len(batch)]
    if wrong:
        raise ExtensionError(f"`augment` returned observations of {len(batch)} rows, but {', '.join(wrong)}")
