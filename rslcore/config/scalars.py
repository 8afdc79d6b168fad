"""Scalars of a config, strictly: nothing is converted but a whole float to an int, and an int to a float.

Numbers are those that tensors hold: whole ones have 64 bits, others are finite in single precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

MAX_INT = 2**63 - 1
"""Largest whole number of a config, that of an int64."""
MAX_FLOAT, MIN_FLOAT = 3.4028234663852886e38, 1.1754943508222875e-38
"""Largest number of a config and the smallest positive one that is not rounded away, those of a float32."""


def _bool(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{shown(value)} should be true or false")
    return value


def _int(value: Any, _: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1e6 in YAML
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{shown(value)} should be a whole number")
    if abs(value) > MAX_INT:
        raise ValueError(f"{shown(value)} should be a whole number of at most 64 bits")
    return value


def _float(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{shown(value)} should be a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} should be finite")
    if abs(value) > MAX_FLOAT:
        raise ValueError(f"{shown(value)} is too large for single precision, which ends at {MAX_FLOAT:.1e}")
    if 0 < abs(value) < MIN_FLOAT:
        raise ValueError(f"{shown(value)} is too small for single precision, which begins at {MIN_FLOAT:.1e}; write 0")
    if float(value) != value:
        raise ValueError(f"{shown(value)} has more digits than a number with a fraction holds; write {float(value)!r}")
    return float(value)


def _str(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{shown(value)} should be a string")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError(f"{shown(value)} holds half a character, which no file can")
    return value


def shown(value: Any) -> str:
    """A value for a message: as Python writes it, with its type, cut to a line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes no number of thousands of digits, and no list of lists of ...
        text = "something that is too long or too deep to be shown"
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


SCALARS: Mapping[type, Callable[[Any, Any], Any]] = {bool: _bool, int: _int, float: _float, str: _str}
"""For each type the function that takes a value or raises TypeError or ValueError."""
