"""What is wrong with the config class of a plugin, in words for its author."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config.components import Component
from rslcore.config.fields import is_config

_PLAIN = (bool, int, float, str, type(None))
_INSTEAD = {
    list: "a list can be changed after the config was read; write tuple[...]",
    set: "a set can be changed after the config was read, and YAML has none; write tuple[...]",
    dict: "a dict can be changed after the config was read; write Mapping[str, ...] (of collections.abc)",
}
_ALLOWED = "bool, int, float, str, Literal, tuple[...], Mapping[str, ...], a component or a config class"


def find_class_faults(cls: Any, prefix: str = "") -> list[str]:
    """Why a class cannot be the class of a config: not made with `config`, or fields that no file can hold.

    Every fault of every field, those of nested configs too (`prefix` is where one lies); none for a good class.
    """
    if not is_config(cls):
        name = getattr(cls, "__qualname__", repr(cls))
        return [f"'{name}' is no config class; make it with the decorator `rslcore.config.config`"]
    try:
        attrs.resolve_types(cls)
    except Exception as error:  # annotations are code
        return [f"its annotations cannot be read: {type(error).__name__}: {error}"]
    faults = []
    for field in attrs.fields(cls):
        if fault := _type_fault(field.type) or _default_fault(field.default):
            faults.append(f"field '{prefix}{field.name}': {fault}")
        elif is_config(field.type):
            faults += find_class_faults(field.type, f"{prefix}{field.name}.")
    return faults


def _type_fault(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    base = origin or annotation
    if annotation is None:
        return f"it has no type; annotate it with {_ALLOWED}"
    if base in _INSTEAD:
        return _INSTEAD[base]
    if getattr(base, "__module__", "").partition(".")[0] in ("torch", "tensordict", "numpy"):
        return (
            f"{base.__module__}.{base.__qualname__} is nothing that a file can hold; keep numbers and names here, and "
            "make the object in the factory"
        )
    if origin is typing.Literal or annotation is Any or annotation in _PLAIN:
        return ""
    if origin in (typing.Union, types.UnionType):
        return next(filter(None, map(_type_fault, arguments)), "")
    if origin is tuple:
        items = [argument for argument in arguments if argument is not ...]
        return next(filter(None, map(_type_fault, items)), "")
    if origin is Mapping:
        return _type_fault(arguments[1])
    if isinstance(annotation, type) and (issubclass(annotation, Component) or is_config(annotation)):
        return ""
    name = getattr(annotation, "__qualname__", str(annotation))
    if attrs.has(annotation):
        return f"'{name}' is no config class; make it with the decorator `rslcore.config.config`"
    return f"a config cannot hold the type {name}; write {_ALLOWED}"


def _default_fault(default: Any) -> str:
    if isinstance(default, list | set):
        return f"the default {default!r} can be changed, for all configs at once; write {tuple(default)!r}"
    if isinstance(default, tuple):
        return next(filter(None, map(_default_fault, default)), "")
    plain = default is attrs.NOTHING or isinstance(default, (*_PLAIN, dict))  # each config copies a dict, see `option`
    if plain or isinstance(default, Component) or is_config(type(default)):
        return ""
    return f"the default is a {type(default).__name__}; give a plain value, a tuple or a config"
