"""How a config class declares its fields: type, default, meaning, range."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast, dataclass_transform

import attrs

T = TypeVar("T")

_MARK = "__rslcore_config__"


@attrs.frozen
class Range:
    """The numbers that a field allows; for a sequence, each of its items. Used as an attrs validator.

    Attributes:
        low: Smallest number, or None for no limit.
        high: Largest number, or None for no limit.
        open_low: Whether `low` itself is excluded.
        open_high: Whether `high` itself is excluded.
    """

    low: float | None = None
    high: float | None = None
    open_low: bool = attrs.field(default=False, kw_only=True)
    open_high: bool = attrs.field(default=False, kw_only=True)

    def __contains__(self, number: float) -> bool:
        if math.isnan(number):
            return False
        above = self.low is None or (number > self.low if self.open_low else number >= self.low)
        below = self.high is None or (number < self.high if self.open_high else number <= self.high)
        return above and below

    def __str__(self) -> str:
        if self.high is None:
            return f"{'>' if self.open_low else '>='} {self.low}"
        if self.low is None:
            return f"{'<' if self.open_high else '<='} {self.high}"
        return f"{'(' if self.open_low else '['}{self.low}, {self.high}{')' if self.open_high else ']'}"

    def __call__(self, instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        """Raise ValueError if the value, or an item of it, is out of range; None stands for "not set" and passes."""
        items = value if isinstance(value, tuple) else (value,)
        for item in items:
            if item is not None and item not in self:
                raise ValueError(f"{value!r} is out of range, it must be {self}".replace("must be [", "must be in ["))


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(attrs.field,))
def config(cls: type[T]) -> type[T]:
    """Class decorator: a frozen, keyword-only attrs class, as every config class is."""
    made = attrs.frozen(kw_only=True)(cls)
    setattr(made, _MARK, True)
    return made


def is_config(cls: Any) -> bool:
    """Whether a class was made with `config` itself; a subclass needs the decorator too."""
    return isinstance(cls, type) and _MARK in vars(cls)


def evolve(original: T, **changes: Any) -> T:
    """A copy of a config with some fields changed; the original stays as it is."""
    evolved: T = attrs.evolve(cast("Any", original), **changes)
    return evolved


def option(default: Any, doc: str, check: Callable[[Any, attrs.Attribute[Any], Any], None] | None = None) -> Any:
    """A field of a config class.

    Args:
        default: Its default; `attrs.NOTHING` if the user must give it. Of a mapping, each config gets its own copy.
        doc: Meaning, unit, and the quantity derived from it, for `rslcore describe`.
        check: The range of a number, or another attrs validator.
    """
    converter = _copied if isinstance(default, dict) else None
    return attrs.field(default=default, converter=converter, validator=check, metadata={"doc": doc})


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value
