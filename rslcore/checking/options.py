"""Options for components that are to be tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config import Component
from rslcore.config.fields import is_config


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
        elif is_config(field.type):
            try:
                values[field.name] = fill_required(field.type, defaults)
            except LookupError as error:
                raise LookupError(f"{field.name}.{error.args[0]}") from None
        else:
            raise LookupError(field.name)
    return values
