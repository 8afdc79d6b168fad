"""`rslcore check-plugin`: whether an installed distribution is a good plugin, and what to mend.

One file a question: what its metadata says (`distribution`), what its modules import (`imports`), whether its
components and recipes are sound (`components`), and whether they keep their contracts (`contracts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution

from packaging.utils import canonicalize_name

from rslcore.checking.components import check_component, check_recipe
from rslcore.checking.distribution import check_metadata, find_distribution
from rslcore.checking.imports import check_imports
from rslcore.checking.report import Line
from rslcore.errors import UnknownNameError, listed, nearest
from rslcore.registry import PluginRow, Registry
from rslcore.testing.registry import with_fakes

__all__ = ["Line", "check_distribution", "find_plugins"]


def find_plugins(registry: Registry, distribution: str) -> list[PluginRow]:
    """The plugins of an installed distribution.

    Raises:
        UnknownNameError: None of that name has plugins; names the nearest one that has.
    """
    wanted = canonicalize_name(distribution)
    found = [row for row in registry.plugins if canonicalize_name(row.source.distribution) == wanted]
    if not found:
        names = {row.source.distribution for row in registry.plugins}
        raise UnknownNameError(
            f"there is no installed distribution '{distribution}' with plugins{nearest(distribution, names)} "
            f"(installed: {listed(names)})"
        )
    return found


def check_distribution(registry: Registry, distribution: str) -> Iterator[Line]:
    """Check all that an installed distribution brings, a line at a time.

    Raises:
        UnknownNameError: As `find_plugins`.
        MissingExtraError: pytest is not installed, which the contracts need.
    """
    from rslcore.checking.contracts import check_contracts

    rows = find_plugins(registry, distribution)
    registry = with_fakes(registry)
    installed: Distribution = find_distribution(rows[0].source.distribution)
    yield from check_metadata(installed)
    yield from check_imports(rows, registry)
    for row in rows:
        for entry in row.entries:
            lines = list(check_component(entry, registry))
            yield from lines
            if all(line.status == "ok" for line in lines):
                yield from check_contracts(entry, rows, registry)
        for recipe in row.recipes:
            yield check_recipe(recipe, registry)
