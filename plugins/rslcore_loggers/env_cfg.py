"""What an env's simulator is configured with, in whatever form that has it, as plain data for a dashboard.

Projects hand over dicts, dataclasses, objects with `to_dict` and objects with attributes, which hold functions, classes
and tensors. Functions and classes are written as their names, and so is the class of what cannot be written.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import logging
import math
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 20
MAX_VALUES = 20_000
"""Of what lies deeper, or comes later, only the names are written: an object may lead to all others."""

MAX_NUMBERS = 100
"""Of a tensor; of a larger one the shape is written."""

_log = logging.getLogger(__name__)


def read_env_cfg(env: object) -> Any:
    """The attribute `cfg` of an env as dicts, lists, strings, numbers, booleans and None; None if it has none.

    Never raises; where `cfg` itself cannot be read, that is a warning.
    """
    try:
        return _Reading().plain(getattr(env, "cfg", None), ())
    except Exception as error:  # the env's own code, which may raise what it likes
        _log.warning("the env's cfg cannot be stored: %s: %s", type(error).__name__, error)
        return None


class _Reading:
    def __init__(self) -> None:
        self._left = MAX_VALUES

    def plain(self, value: Any, inside: tuple[int, ...]) -> Any:
        """A value as plain data; `inside` are the ids of what it is in."""
        self._left -= 1
        if value is None or isinstance(value, bool | int | str):
            return value.value if isinstance(value, enum.Enum) else value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        if id(value) in inside or len(inside) >= MAX_DEPTH or self._left < 0:
            return _name(type(value))
        try:
            return self._opened(value, (*inside, id(value)))
        except Exception:  # what one value cannot do costs that value
            return _name(type(value))

    def _opened(self, value: Any, inside: tuple[int, ...]) -> Any:
        if isinstance(value, type) or inspect.isroutine(value):
            return _name(value)
        if isinstance(value, Mapping):
            return {str(key): self.plain(item, inside) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.plain(item, inside) for item in value]
        if hasattr(value, "tolist") and hasattr(value, "shape"):  # NumPy, torch
            is_small = math.prod(value.shape) <= MAX_NUMBERS
            return self.plain(value.tolist(), inside) if is_small else f"{_name(type(value))} {list(value.shape)}"
        if isinstance(value, enum.Enum):
            return str(value)
        if callable(getattr(value, "to_dict", None)):
            return self.plain(value.to_dict(), inside)
        attributes = _attributes(value)
        return self.plain(attributes, inside) if attributes else str(value)


def _attributes(value: Any) -> dict[str, Any]:
    """The public attributes of an object that are data; legged_gym has them in classes."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    found: dict[str, Any] = {}
    for owner in (*reversed(type(value).__mro__[:-1]), value):
        found.update(getattr(owner, "__dict__", {}))
    return {
        name: item
        for name, item in found.items()
        if not name.startswith("_") and not inspect.isroutine(item) and not inspect.isdatadescriptor(item)
    }


def _name(value: Any) -> str:
    return f"{value.__module__}:{value.__qualname__}"
