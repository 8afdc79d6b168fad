"""What an env's simulator is configured with, in whatever form that has it, as plain data for a dashboard.

Projects hand over dicts, dataclasses, objects with `to_dict`, and objects and classes with attributes, which hold
functions, modules and tensors. Functions, modules and other classes are written as their names, and so is the class of
what cannot be written.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import logging
import math
import operator
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

MAX_DEPTH = 20
MAX_VALUES = 20_000
"""Of what lies deeper, or comes later, only the names are written: an object may lead to all others."""

MAX_ITEMS = 1000
"""Of a list, a dict or a set; of a longer one the length is written."""

MAX_NUMBERS = 100
"""Of a tensor; of a larger one the shape is written."""

_log = logging.getLogger(__name__)


def read_env_cfg(env: object) -> Any:
    """The attribute `cfg` of an env as dicts, lists, strings, numbers, booleans and None; None if it has none.

    Never raises; where `cfg` itself cannot be read, that is a warning.
    """
    try:
        cfg = getattr(env, "cfg", None)
        opened = _attributes(cfg) if isinstance(cfg, type) else {}  # walk-these-ways has a class
        return _Reading().plain(opened or cfg, ())
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
        if isinstance(value, functools.partial):
            return self.plain(value.func, inside)
        if inspect.ismodule(value):
            return value.__name__
        if isinstance(value, type) or inspect.isroutine(value):
            return _name(value)
        if isinstance(value, Mapping | Sequence | Set) and not isinstance(value, bytes | bytearray):
            return self._items(value, inside)
        if hasattr(value, "tolist") and hasattr(value, "shape"):  # NumPy, torch
            is_small = math.prod(value.shape) <= MAX_NUMBERS
            return self.plain(value.tolist(), inside) if is_small else f"{_name(type(value))} {list(value.shape)}"
        if isinstance(value, enum.Enum):
            return str(value)
        if callable(getattr(value, "to_dict", None)):
            return self.plain(value.to_dict(), inside)
        attributes = _attributes(value)
        return self.plain(attributes, inside) if attributes else str(value)

    def _items(self, value: Mapping[Any, Any] | Sequence[Any] | Set[Any], inside: tuple[int, ...]) -> Any:
        if len(value) > MAX_ITEMS:
            return f"{_name(type(value))} [{len(value)}]"
        if isinstance(value, Mapping):
            return {str(key): self.plain(_read(operator.getitem, value, key), inside) for key in value}
        if isinstance(value, Set):
            return [self.plain(item, inside) for item in value]
        return [self.plain(_read(operator.getitem, value, index), inside) for index in range(len(value))]


def _read(how: Callable[[Any, Any], Any], value: Any, key: object) -> Any:
    """A part of a value. OmegaConf raises for what is missing, and so do fields that were never set."""
    try:
        return how(value, key)
    except Exception as error:
        return f"no value: {type(error).__name__}"


def _attributes(value: Any) -> dict[str, Any]:
    """The public attributes of an object or a class that are data; legged_gym has them in classes within classes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _read(getattr, value, field.name) for field in dataclasses.fields(value)}
    owners = (value if isinstance(value, type) else type(value)).__mro__[:-1]
    found: dict[str, Any] = {}
    for owner in (*reversed(owners), value):
        found.update(getattr(owner, "__dict__", {}))
    bodies = {owner.__qualname__ for owner in owners}
    return {
        name: _attributes(item) or item if isinstance(item, type) and _body_of(item) in bodies else item
        for name, item in found.items()
        if not name.startswith("_") and not inspect.isroutine(item) and not inspect.isdatadescriptor(item)
    }


def _body_of(value: type) -> str:
    """In which class's body a class is written, if in any: others are settings, such as that of an activation."""
    return value.__qualname__.rpartition(".")[0]


def _name(value: Any) -> str:
    return f"{value.__module__}:{value.__qualname__}"
