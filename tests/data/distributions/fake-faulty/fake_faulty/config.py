"""Config classes, each with another fault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from torch import Tensor, nn

from rslcore.config import config, option

if TYPE_CHECKING:
    from numpy import ndarray


class Plain:
    """Options."""


@attrs.frozen
class PlainInner:
    """Options."""


@config
class Empty:
    """No options."""


@config
class Inner:
    """Options."""

    names: list[str] = option((), "A list.")


@config
class Mutable:
    """Fields and defaults that can be changed."""

    widths: list[int] = option((64,), "A list.")
    gains: dict[str, float] | None = option(None, "A dict.")
    sizes: tuple[int, ...] = option([64, 64], "A list for a default.")
    inner: Inner = option(Inner(), "A nested config with a list.")
    plain: PlainInner = option(PlainInner(), "A nested class that is no config.")
    lazy: tuple[int, ...] = option(attrs.Factory(tuple), "A default that is made.")
    tables: Mapping[str, tuple[int, ...]] = option({"x": (1,)}, "A mapping is fine.")
    file: Path = option(Path(), "No type of YAML's.")
    untyped = option(1, "Without a type.")


@config
class TorchFields:
    """Fields that no file can hold."""

    mean: Tensor = option(attrs.NOTHING, "A tensor.")
    layers: tuple[nn.Module, ...] = option((), "Modules.")


@config
class Unreadable:
    """An annotation that is there for a type checker only."""

    array: ndarray = option(None, "An array.")


def check_even(instance, attribute, value):
    """A check whose code is wrong."""
    return value.is_even()


@config
class FaultyCheck:
    """Code that raises."""

    count: int = option(1, "A count.", check_even)
    scale: float = option(1.0, "A factor.")

    def __attrs_post_init__(self):
        self.scale.total  # noqa: B018
