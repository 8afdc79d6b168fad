"""NumPy arrays in nested containers as tensors, since a checkpoint holds no arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import Tensor

_ARRAY, _SCALAR = "numpy array", "numpy scalar"


def to_tensors(value: Any, at: str = "") -> Any:
    """A copy in which arrays and NumPy's scalars are tensors, marked so that `to_arrays` can tell.

    Args:
        value: Tensors, arrays, NumPy's scalars, plain scalars and strings, in dicts, lists and tuples.
        at: Where the value stands, for messages.

    Raises:
        TypeError: Something else is in it, or an array of a type that torch does not have.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, numpy.ndarray | numpy.generic):
        mark = _ARRAY if isinstance(value, numpy.ndarray) else _SCALAR
        return {mark: torch.from_numpy(numpy.array(value))}
    if isinstance(value, dict):
        return {key: to_tensors(item, f"{at}.{key}" if at else str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [to_tensors(item, f"{at}[{index}]") for index, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    raise TypeError(f"'{at}' is a {type(value).__name__}; give tensors, arrays, plain containers, strings and numbers")


def to_arrays(value: Any) -> Any:
    """The inverse of `to_tensors`, again a copy."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        if value.keys() == {_ARRAY}:
            return numpy.array(value[_ARRAY].cpu().numpy())
        if value.keys() == {_SCALAR}:
            return value[_SCALAR].cpu().numpy()[()]
        return {key: to_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [to_arrays(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value
