"""Finds plugins by entry point and loads each on its own, so that a broken one costs only itself.

pluggy's own `load_setuptools_entrypoints` stops at the first ImportError and lets two distributions with one
entry-point name hide one another, hence this loader. It registers every module with a pluggy `PluginManager`, calls
that plugin's `rslcore_register` alone, and turns any failure into a row that says why.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from importlib.metadata import Distribution, EntryPoint, distributions
from types import ModuleType
from typing import Any, Literal

import attrs
import pluggy

from rslcore.errors import PluginError
from rslcore.registry import hookspec
from rslcore.registry.entries import Command, Entry, Recipe, Source
from rslcore.registry.registrar import Registrar

GROUP = "rslcore"
DISABLE_VARIABLE = "RSLCORE_DISABLED_PLUGINS"


@attrs.frozen
class PluginRow:
    """What became of one plugin.

    Attributes:
        source: Which plugin of which distribution.
        status: `ok`, `failed` or `disabled`.
        cause: Why it failed, or where it was left out; empty otherwise.
        entries: Its components; none unless the status is `ok`.
        recipes: Its recipes; none unless the status is `ok`.
        commands: Its commands; none unless the status is `ok`.
    """

    source: Source
    status: Literal["ok", "failed", "disabled"]
    cause: str = ""
    entries: tuple[Entry, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    commands: tuple[Command, ...] = ()


def new_plugin_manager() -> pluggy.PluginManager:
    """A pluggy manager that knows rslcore's hooks and holds no plugin."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspec)
    return manager


def disabled_by_environment() -> frozenset[str]:
    """The plugin names in `RSLCORE_DISABLED_PLUGINS`, separated by commas."""
    return frozenset(name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip())


def _left_out(name: str) -> str:
    by = f"{DISABLE_VARIABLE}={name}" if name in disabled_by_environment() else f"--no-plugin {name}"
    return f"left out by `{by}`"


def load_plugins(manager: pluggy.PluginManager, disabled: Iterable[str] = ()) -> list[PluginRow]:
    """Load every installed plugin into `manager`; never raises for a plugin's fault.

    Args:
        manager: From `new_plugin_manager`.
        disabled: Names of entry points, or of whole distributions, that are not even imported.
    """
    disabled = frozenset(disabled)
    rows: list[PluginRow] = []
    declared: dict[tuple[str, str, str], Source] = {}
    found, unreadable = _installed_entry_points()
    rows += unreadable
    for distribution, entry_point in found:
        name = distribution.metadata["Name"]
        source = Source(entry_point.name, name, distribution.version, entry_point.value)
        if called := next((each for each in (entry_point.name, name) if each in disabled), None):
            rows.append(PluginRow(source, "disabled", _left_out(called)))
            continue
        try:
            registrar = _load_one(manager, distribution, entry_point, source)
            _refuse_duplicates(registrar, declared)
        except (Exception, SystemExit) as error:  # a plugin may fail in any way; its row carries the cause
            _forget(manager, source)
            cause = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            rows.append(PluginRow(source, "failed", cause))
            continue
        entries, recipes, commands = registrar.entries, registrar.recipes, registrar.commands
        rows.append(PluginRow(source, "ok", "", tuple(entries), tuple(recipes), tuple(commands)))
    return rows


def _installed_entry_points() -> tuple[list[tuple[Distribution, EntryPoint]], list[PluginRow]]:
    """The entry points of our group with their distributions, and a failed row for each that cannot be read."""
    # `importlib.metadata.entry_points` merges the same name of two distributions, so each is asked on its own; the
    # first distribution of a name on the path is the one that imports find.
    seen: set[tuple[str, str]] = set()
    found, unreadable = [], []
    for distribution in distributions():
        try:
            name = distribution.metadata["Name"]
            entry_points = distribution.entry_points.select(group=GROUP) if name else ()
        except Exception as error:  # metadata that somebody else damaged must not take the command line down
            where = str(getattr(distribution, "_path", "unknown"))
            cause = f"its metadata cannot be read: {type(error).__name__}: {error}"
            unreadable.append(PluginRow(Source("?", where, "?", "?"), "failed", cause))
            continue
        for entry_point in entry_points:
            if (key := (name, entry_point.name)) not in seen:
                seen.add(key)
                found.append((distribution, entry_point))
    found.sort(key=lambda pair: (pair[0].metadata["Name"] != "rslcore", pair[0].metadata["Name"], pair[1].name))
    return found, unreadable


def _load_one(
    manager: pluggy.PluginManager, distribution: Distribution, entry_point: EntryPoint, source: Source
) -> Registrar:
    _check_requirement(distribution)
    return register_module(manager, importlib.import_module(entry_point.module), source)


def register_module(manager: pluggy.PluginManager, module: ModuleType, source: Source) -> Registrar:
    """Let a plugin module declare what it brings.

    Args:
        manager: From `new_plugin_manager`; holds the module afterwards.
        module: The plugin module.
        source: What its components are recorded with.

    Raises:
        PluginError: The module is no plugin of this API, or declares what cannot be.
    """
    _check_api(module)
    if other := manager.get_name(module):
        raise PluginError(f"module '{module.__name__}' is that of '{other}' too; one of the two has to go")
    manager.register(module, name=_plugin_id(source))
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    _refuse_unknown_hooks(manager, module)
    registrar = Registrar(source)
    manager.subset_hook_caller("rslcore_register", remove_plugins=others)(registry=registrar)
    return registrar


def _plugin_id(source: Source) -> str:
    return f"{source.distribution}/{source.plugin}"


def _forget(manager: pluggy.PluginManager, source: Source) -> None:
    if manager.has_plugin(_plugin_id(source)):
        manager.unregister(name=_plugin_id(source))


def _check_requirement(distribution: Distribution) -> None:
    """Re-check `Requires-Dist: rslcore`, which pip does not do again when rslcore is upgraded alone."""
    requirements = [text for text in distribution.requires or [] if text.startswith("rslcore")]
    if not requirements or distribution.metadata["Name"] == "rslcore":
        return
    from packaging.requirements import Requirement

    from rslcore import __version__

    for requirement in map(Requirement, requirements):
        if requirement.name == "rslcore" and not requirement.specifier.contains(__version__, prereleases=True):
            raise PluginError(f"it requires rslcore{requirement.specifier}, but rslcore {__version__} is installed")


def _check_api(module: ModuleType) -> None:
    api: Any = getattr(module, "PLUGIN_API", None)
    ours = hookspec.PLUGIN_API
    if api is None:
        raise PluginError(f"module '{module.__name__}' does not state its API; add `PLUGIN_API = {ours}`")
    if api != ours:
        newer = isinstance(api, int) and api > ours
        side = "upgrade rslcore" if newer else "upgrade the plugin"
        raise PluginError(f"it was written for plugin API {api!r}, this rslcore has {ours}: {side}")


def _refuse_unknown_hooks(manager: pluggy.PluginManager, module: ModuleType) -> None:
    callers = manager.get_hookcallers(module) or []
    known = {name for name in vars(hookspec) if name.startswith("rslcore_")}
    unknown = sorted(caller.name for caller in callers if caller.name not in known)
    if unknown:
        from rslcore.errors import listed, nearest

        raise PluginError(f"there is no hook {listed(unknown)}{nearest(unknown[0], known)}")
    if "rslcore_register" not in {caller.name for caller in callers}:
        raise PluginError(f"module '{module.__name__}' has no `@hookimpl def rslcore_register(registry)`")


def _refuse_duplicates(registrar: Registrar, declared: dict[tuple[str, str, str], Source]) -> None:
    source = registrar.source
    keys = [(source.distribution, entry.kind, entry.name) for entry in registrar.entries]
    keys += [(source.distribution, "recipe", recipe.name) for recipe in registrar.recipes]
    keys += [(source.distribution, "command", command.name) for command in registrar.commands]
    for key in keys:
        if key in declared:
            raise PluginError(f"{key[1]} '{key[2]}' is already declared by plugin '{declared[key].plugin}' of {key[0]}")
    declared.update(dict.fromkeys(keys, source))
