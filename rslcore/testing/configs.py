"""What is wrong with a config class, found without building anything."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config import Component

MUTABLE = {list: "tuple[...]", dict: "Mapping[...]", set: "tuple[...]"}


def find_config_faults(cls: type[Any], at: str = "") -> list[str]:
    """What is wrong with a config class and those nested in it, a sentence each; empty if nothing is.

    Args:
        cls: The class that a plugin registered.
        at: Where it lies in another one, for messages.
    """
    where = f"'{cls.__module__}:{cls.__qualname__}'"
    if not attrs.has(cls):
        return [f"{where} is no config class; put the decorator `@config` of rslcore.config above it"]
    faults = []
    if cls.__setattr__ is object.__setattr__ or not getattr(cls, "__attrs_props__", _FROZEN).is_frozen:
        faults.append(f"{where} can be changed after it was made; use the decorator `@config` of rslcore.config")
    try:
        attrs.resolve_types(cls)
    except NameError as error:
        return [
            *faults,
            f"{where} has a type that is not known when it is read: {error}; import it outside of `if TYPE_CHECKING:`",
        ]
    for field in attrs.fields(cls):
        name = f"{at}{field.name}"
        if not field.metadata.get("doc"):
            faults.append(f"option '{name}' of {where} has no meaning in words; write it with `option(default, doc)`")
        faults += _find_type_faults(field.type, name, where)
        if type(field.default).__module__.partition(".")[0] in ("torch", "numpy", "tensordict"):
            faults.append(
                f"the default of option '{name}' of {where} is a {type(field.default).__name__}; give a number"
            )
        if _is_config(field.type):
            faults += find_config_faults(field.type, f"{name}.")
    return faults


class _FROZEN:  # of attrs before 25.4, which does not say; `@config` is checked by __setattr__ then
    is_frozen = True


def _find_type_faults(annotation: Any, name: str, where: str) -> list[str]:
    if annotation is None:
        return [f"option '{name}' of {where} has no type; a config is checked by its types"]
    origin = typing.get_origin(annotation) or annotation
    if origin in MUTABLE:
        better = MUTABLE[origin]
        return [f"option '{name}' of {where} is a {origin.__name__}, which can be changed; make it {better}"]
    module = getattr(origin, "__module__", "").partition(".")[0]
    if module in ("torch", "numpy", "tensordict"):
        return [f"option '{name}' of {where} is a {module} type; a config holds what YAML can write, such as a string"]
    if origin is typing.Literal:
        return []
    arguments = [argument for argument in typing.get_args(annotation) if argument is not ...]
    return [fault for argument in arguments for fault in _find_type_faults(argument, name, where)]


def fill_required(cls: type[Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the options that have no default, as far as they are components.

    Args:
        cls: A config class.
        defaults: A component of each kind, as it stands in a config.

    Raises:
        LookupError: An option has no default and is no component; its argument is the option's name.
    """
    attrs.resolve_types(cls)
    values: dict[str, Any] = {}
    for field in attrs.fields(cls):
        if field.default is not attrs.NOTHING:
            continue
        if isinstance(field.type, type) and issubclass(field.type, Component) and field.type.kind in defaults:
            values[field.name] = defaults[field.type.kind]
        elif _is_config(field.type):
            try:
                values[field.name] = fill_required(field.type, defaults)
            except LookupError as error:
                raise LookupError(f"{field.name}.{error.args[0]}") from None
        else:
            raise LookupError(field.name)
    return values


def _is_config(annotation: Any) -> bool:
    return isinstance(annotation, type) and attrs.has(annotation) and not issubclass(annotation, Component)
