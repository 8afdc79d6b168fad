"""The fields of a config class as data, for `rslcore describe` and the docs."""

from __future__ import annotations

import types
import typing
from typing import Any

import attrs

from rslcore.config.components import Component
from rslcore.config.converter import unstructure
from rslcore.config.fields import Range


@attrs.frozen
class FieldDoc:
    """A field of a config.

    Attributes:
        name: Dotted where it lies in a nested config.
        type: In words (`float`, `list of int`, `'adaptive' or 'fixed'`).
        required: Whether it has no default.
        default: The default as plain data; None where `required`.
        range: The numbers that it allows, in words; empty if it is no number or allows all.
        doc: What it means.
    """

    name: str
    type: str
    required: bool
    default: Any
    range: str
    doc: str


def field_docs(cls: type[Any], prefix: str = "") -> list[FieldDoc]:
    """The fields of a config class, those of nested configs after the field that holds them."""
    attrs.resolve_types(cls)
    docs = []
    for field in attrs.fields(cls):
        required = field.default is attrs.NOTHING
        docs.append(
            FieldDoc(
                name=prefix + field.name,
                type=type_in_words(field.type),
                required=required,
                default=None if required else unstructure(field.default),
                range=str(field.validator) if isinstance(field.validator, Range) else "",
                doc=field.metadata.get("doc", ""),
            )
        )
        if _is_nested(field.type):
            docs += field_docs(field.type, f"{prefix}{field.name}.")
    return docs


def find_undocumented(cls: type[Any]) -> list[str]:
    """The options of a config class, and of those nested in it, that say nothing of their meaning."""
    return [field.name for field in field_docs(cls) if not field.doc.strip()]


def type_in_words(annotation: Any) -> str:
    """A type as a user of YAML thinks of it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f"'{choice}'" for choice in arguments)
    if origin is tuple:
        return f"list of {type_in_words(arguments[0])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_in_words(argument) for argument in arguments)
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, Component):
        return annotation.kind
    if _is_nested(annotation) or origin is not None:
        return "mapping"
    return getattr(annotation, "__name__", str(annotation))


def _is_nested(annotation: Any) -> bool:
    return isinstance(annotation, type) and attrs.has(annotation) and not issubclass(annotation, Component)
