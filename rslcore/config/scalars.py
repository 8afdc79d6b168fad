"""Scalars of a config, strictly: nothing is converted but a whole float to an int, and an int to a float."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def _bool(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{shown(value)} should be true or false")
    return value


def _int(value: Any, _: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 1e6 in YAML
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{shown(value)} should be a whole number")
    return value


def _float(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{shown(value)} should be a number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} should be finite")
    return float(value)


def _str(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{shown(value)} should be a string")
    return value


def shown(value: Any) -> str:
    """A value for a message: as Python writes it, with its type, cut to a line."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


SCALARS: Mapping[type, Callable[[Any, Any], Any]] = {bool: _bool, int: _int, float: _float, str: _str}
"""For each type the function that takes a value or raises TypeError or ValueError."""
