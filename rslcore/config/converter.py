"""Plain dicts to config classes and back, strictly, with all problems at once.

cattrs finds the hook for each type. The hooks are written here, because its own are lenient: they take `"false"` for
true, 4.9 for 4 and a string for a list of its characters, stop at a class's first validator that fails, and word what
is wrong for programmers.
"""

from __future__ import annotations

import traceback
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import cattrs

from rslcore.config.components import Component
from rslcore.config.scalars import SCALARS, shown
from rslcore.errors import ConfigError, Problem, RegistryError, RslcoreError, listed, nearest

if TYPE_CHECKING:
    from rslcore.registry import Registry

T = TypeVar("T")

UNKNOWN_KEY = "unknown key"
"""How the message about a key begins that a config class does not have."""

MISSING = "is missing"
"""How the message about a key begins that a config needs and does not have."""

# What the code of a config class raises about values that a user gave; anything else is a fault of that code. The
# checks of attrs raise TypeError, too.
_ABOUT_VALUES = (ValueError, RslcoreError)


def structure(data: Any, cls: type[T], registry: Registry, source: str = "") -> T:
    """Make a config of class `cls` out of plain dicts, lists and scalars.

    Args:
        data: As YAML gives it.
        cls: A class made with `rslcore.config.config`.
        registry: Where the config classes of components are found.
        source: Name of the file or recipe, for messages.

    Raises:
        ConfigError: With every problem in `data`, each with its path.
    """
    try:
        return _new_converter(registry).structure(data, cls)
    except Exception as error:
        raise ConfigError(_problems(error, ""), source) from error


def unstructure(config: Any) -> Any:
    """A config as plain dicts, lists and scalars, complete with every default; the inverse of `structure`."""
    if isinstance(config, Component):
        return {"name": config.name, **unstructure(config.config)}
    if attrs.has(type(config)):
        return {field.name: unstructure(getattr(config, field.name)) for field in attrs.fields(type(config))}
    if isinstance(config, Mapping):
        return {key: unstructure(value) for key, value in config.items()}
    if isinstance(config, tuple | list):
        return [unstructure(value) for value in config]
    return config


def _new_converter(registry: Registry) -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    for scalar, hook in SCALARS.items():
        converter.register_structure_hook(scalar, hook)
    converter.register_structure_hook_factory(attrs.has, lambda cls: _config_hook(cls, converter))
    converter.register_structure_hook_factory(
        lambda cls: isinstance(cls, type) and issubclass(cls, Component),
        lambda cls: _component_hook(cls, converter, registry),
    )
    converter.register_structure_hook_func(_is_literal, _structure_literal)
    converter.register_structure_hook_func(_is_mapping, lambda value, cls: _structure_mapping(value, cls, converter))
    converter.register_structure_hook_func(_is_sequence, lambda value, cls: _structure_sequence(value, cls, converter))
    converter.register_structure_hook_func(_is_union, lambda value, cls: _structure_union(value, cls, converter))
    return converter


class _FieldErrors(Exception):  # noqa: N818 - several errors, hence the plural
    """The errors of the fields of one config, or of the items of a list, by name or `[index]`."""

    def __init__(self, errors: list[tuple[str, Exception]]) -> None:
        self.errors = errors
        super().__init__(errors)


class _CodeError(Exception):
    """The code of a config class, a check or `__attrs_post_init__`, raised something that is no word about a value."""

    def __init__(self, error: Exception) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        super().__init__(f"raised {type(error).__name__}: {error} ({where}); the fault is in its code")


def _problems(error: Exception, path: str, owner: str = "a class") -> list[Problem]:
    """Flatten an exception of the converter into problems with paths; `owner` is whose config class it was."""
    if isinstance(error, _FieldErrors):
        return [problem for name, inner in error.errors for problem in _problems(inner, _join(path, name), owner)]
    if isinstance(error, ConfigError):
        return [Problem(_join(path, problem.path), problem.message) for problem in error.problems]
    if isinstance(error, _CodeError):
        return [Problem(path, f"the config of {owner} {error}")]
    return [Problem(path, str(error))]


def _join(path: str, name: str) -> str:
    if path and name:
        return path + name if name.startswith("[") else f"{path}.{name}"
    return path or name


def _key_text(key: Any) -> str:
    """A key for a path: as Python writes it, unless it is a plain string."""
    return key if isinstance(key, str) and key.isprintable() and key.strip() else repr(key)


def _config_hook(cls: type[Any], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Structure one config class: every key known, every field of its type and in its range, all problems kept."""
    attrs.resolve_types(cls)
    fields = {field.name: field for field in attrs.fields(cls)}

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError(f"{shown(value)} should be a mapping with keys among {listed(fields)}")
        errors: list[tuple[str, Exception]] = []
        arguments: dict[str, Any] = {}
        for key in value:
            if key not in fields:
                known = f"{nearest(str(key), fields)} (keys: {listed(fields)})"
                errors.append((_key_text(key), _KeyError(f"{UNKNOWN_KEY}{known}")))
        for name, field in fields.items():
            if name not in value:
                if field.default is attrs.NOTHING:
                    errors.append((name, _KeyError(f"{MISSING} and has no default")))
                continue
            try:
                arguments[name] = converter.structure(value[name], field.type)
            except Exception as error:
                errors.append((name, error))
                continue
            try:
                if field.validator is not None:
                    field.validator(None, field, arguments[name])
            except Exception as error:
                errors.append((name, error if isinstance(error, (*_ABOUT_VALUES, TypeError)) else _CodeError(error)))
        if errors:
            raise _FieldErrors(errors)
        try:
            return cls(**arguments)
        except Exception as error:
            raise error if isinstance(error, _ABOUT_VALUES) else _CodeError(error) from error

    return hook


class _KeyError(ValueError):
    """A key is unknown or missing. Not Python's KeyError, which puts its text in quotes."""


def _component_hook(
    cls: type[Component], converter: cattrs.Converter, registry: Registry
) -> Callable[[Any, Any], Component]:
    """Structure one component: pop `name`, import that config class alone, structure the rest into it."""

    def hook(value: Any, _: Any) -> Component:
        if isinstance(value, str):
            raise TypeError(f"{shown(value)} should be a mapping; write {{name: {value}}}")
        if not isinstance(value, Mapping):
            raise TypeError(f"{shown(value)} should be a mapping like {{name: ...}} that names the {cls.kind}")
        options = dict(value)
        name = options.pop("name", None)
        if not isinstance(name, str):
            names = listed({entry.name for entry in registry.entries(cls.kind)})
            missing = MISSING if name is None else f"{shown(name)} should be a string"
            raise _FieldErrors([("name", _KeyError(f"{missing}; it names the {cls.kind}, one of {names}"))])
        try:
            entry, config_class = registry.find(cls.kind, name), registry.config_class(cls.kind, name)
        except RegistryError as error:
            raise _FieldErrors([("name", error)]) from error
        try:
            return cls(name, converter.structure(options, config_class))
        except Exception as error:
            raise ConfigError(_problems(error, "", f"{entry.kind} '{entry.name}' of {entry.source}")) from error

    return hook


def _is_literal(cls: Any) -> bool:
    return typing.get_origin(cls) is typing.Literal


def _structure_literal(value: Any, cls: Any) -> Any:
    choices = typing.get_args(cls)
    if value not in choices:
        names = [str(choice) for choice in choices]
        raise ValueError(f"{shown(value)} is none of {listed(names)}{nearest(str(value), names)}")
    return value


def _is_sequence(cls: Any) -> bool:
    return typing.get_origin(cls) is tuple


def _structure_sequence(value: Any, cls: Any, converter: cattrs.Converter) -> Any:
    # cattrs takes a string or a mapping for a sequence of its characters or keys, and does not count a fixed tuple.
    if not isinstance(value, list | tuple):
        raise TypeError(f"{shown(value)} should be a list")
    item_types = typing.get_args(cls)
    if item_types[1:] == (...,):
        item_types = (item_types[0],) * len(value)
    if len(value) != len(item_types):
        raise ValueError(f"{shown(value)} should have {len(item_types)} items")
    items: list[Any] = []
    errors: list[tuple[str, Exception]] = []
    for index, (item, item_type) in enumerate(zip(value, item_types, strict=True)):
        try:
            items.append(converter.structure(item, item_type))
        except Exception as error:
            errors.append((f"[{index}]", error))
    if errors:
        raise _FieldErrors(errors)
    return tuple(items)


def _is_union(cls: Any) -> bool:
    return typing.get_origin(cls) in (typing.Union, types.UnionType)


def _structure_union(value: Any, cls: Any, converter: cattrs.Converter) -> Any:
    """The first type of the union that takes the value."""
    options = [option for option in typing.get_args(cls) if option is not type(None)]
    if value is None and len(options) < len(typing.get_args(cls)):
        return None
    errors = []
    for option in options:
        try:
            return converter.structure(value, option)
        except Exception as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    reasons = ", and ".join(str(problem) for error in errors for problem in _problems(error, ""))
    raise ValueError(reasons)


def _is_mapping(cls: Any) -> bool:
    return typing.get_origin(cls) is Mapping


def _structure_mapping(value: Any, cls: Any, converter: cattrs.Converter) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError(f"{shown(value)} should be a mapping")
    _, value_type = typing.get_args(cls)
    structured: dict[str, Any] = {}
    errors: list[tuple[str, Exception]] = []
    for key, item in value.items():
        try:
            if not isinstance(key, str) and type(key) is not int:
                raise TypeError(f"the key {shown(key)} should be a string; put it in quotes")
            structured[str(key)] = item if value_type is Any else converter.structure(item, value_type)
        except Exception as error:
            errors.append((_key_text(key), error))
    if errors:
        raise _FieldErrors(errors)
    return structured
