"""Look-up of components and recipes by name."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pluggy

from rslcore.errors import AmbiguousNameError, PluginError, PluginFaultError, UnknownNameError, listed, nearest
from rslcore.registry.entries import KINDS, Command, Entry, Recipe, Source
from rslcore.registry.loader import PluginRow, disabled_by_environment, load_plugins, new_plugin_manager
from rslcore.registry.targets import import_target

_log = logging.getLogger(__name__)

Named = TypeVar("Named", Entry, Recipe, Command)


class Registry:
    """The components and recipes of a set of plugins.

    Args:
        plugins: What the loader made of each plugin.
        manager: The pluggy manager that holds the plugin modules, for its hooks.
    """

    def __init__(self, plugins: Sequence[PluginRow], manager: pluggy.PluginManager | None = None) -> None:
        self.plugins = tuple(plugins)
        self.manager = manager if manager is not None else new_plugin_manager()
        self._entries = [entry for row in plugins for entry in row.entries]
        self._recipes = [recipe for row in plugins for recipe in row.recipes]
        self._commands = [command for row in plugins for command in row.commands]

    @classmethod
    def discover(cls, disabled: Iterable[str] = ()) -> Registry:
        """Load the installed plugins, less those in `disabled` and in `RSLCORE_DISABLED_PLUGINS`.

        Raises:
            UnknownNameError: A name in `disabled` is that of no plugin and of no distribution with plugins. Names in
                the variable may be those of plugins that are installed elsewhere.
        """
        manager, disabled = new_plugin_manager(), frozenset(disabled)
        registry = cls(load_plugins(manager, disabled_by_environment() | disabled), manager)
        known = {name for row in registry.plugins for name in (row.source.plugin, row.source.distribution)}
        for name in sorted(disabled - known):
            raise UnknownNameError(f"there is no plugin '{name}' to leave out{nearest(name, known)}")
        return registry

    def entries(self, kind: str) -> list[Entry]:
        """The components of a kind, by name.

        Raises:
            UnknownNameError: There is no such kind.
        """
        if kind not in KINDS:
            raise UnknownNameError(f"there is no kind '{kind}'{nearest(kind, KINDS)} (kinds: {listed(KINDS)})")
        return sorted((entry for entry in self._entries if entry.kind == kind), key=lambda entry: entry.full_name)

    def recipes(self) -> list[Recipe]:
        """All recipes, by name."""
        return sorted(self._recipes, key=lambda recipe: recipe.name)

    def find(self, kind: str, name: str) -> Entry:
        """The component of a kind with a bare name or `distribution/name`.

        Raises:
            UnknownNameError: None has it; names the nearest one and the plugins that failed to load.
            AmbiguousNameError: Several distributions have it; lists the spellings that work.
        """
        return self._pick(kind, name, self.entries(kind))

    def find_recipe(self, name: str) -> Recipe:
        """The recipe with a bare name or `distribution/name`; raises as `find` does."""
        return self._pick("recipe", name, self.recipes())

    def commands(self) -> list[Command]:
        """What plugins add to the command line, by name."""
        return sorted(self._commands, key=lambda command: command.name)

    def find_command(self, name: str) -> Command:
        """The command with a bare name or `distribution/name`; raises as `find` does."""
        return self._pick("command", name, self.commands())

    def config_class(self, kind: str, name: str) -> type[Any]:
        """Import the config class of a component.

        Raises as `find`, or `PluginError` if it does not import or cannot be the class of a config.
        """
        from rslcore.config.classes import find_class_faults

        entry = self.find(kind, name)
        config: type[Any] = self._import(entry, entry.config)
        if faults := find_class_faults(config):
            raise PluginError(
                f"{entry.kind} '{entry.name}' of {entry.source}: its config '{entry.config}' is at fault: "
                + "; ".join(faults)
            )
        return config

    def factory(self, kind: str, name: str) -> Any:
        """Import what builds a component; raises as `find`, or `PluginError` if it does not import."""
        entry = self.find(kind, name)
        return self._import(entry, entry.factory)

    def recipe_function(self, recipe: Recipe) -> Any:
        """Import what computes a recipe; raises `PluginError` if it does not import."""
        return self._import(recipe, recipe.function)

    def command(self, name: str) -> Any:
        """Import a command of a plugin; raises as `find`, or `PluginError` if it does not import."""
        command = self.find_command(name)
        return self._import(command, command.target)

    def implementations(self, hook: str) -> list[tuple[str, Callable[..., list[Any]]]]:
        """The name of each plugin that implements a hook, and what calls it alone and gives what is not None of it.

        pluggy itself stops at the first plugin that raises, and does not say which it was.
        """
        plugins = self.manager.get_plugins()
        return [
            (each.plugin_name, self.manager.subset_hook_caller(hook, plugins - {each.plugin}))
            for each in getattr(self.manager.hook, hook).get_hookimpls()
        ]

    def told_of_foreign_config(self, path: Path) -> str | None:
        """What a plugin says of a config file that may be another program's; None if no plugin knows it."""
        hook = "rslcore_foreign_config"
        for name, call in self.implementations(hook):
            try:
                told = call(path=path)
            except Exception as error:  # the user has to mend the file, not the plugin
                _log.warning("plugin %s failed in %s: %s: %s", name, hook, type(error).__name__, error)
                continue
            if told and isinstance(told[0], str):
                return told[0]
        return None

    def _import(self, entry: Entry | Recipe | Command, target: str) -> Any:
        kind = entry.kind if isinstance(entry, Entry) else type(entry).__name__.lower()
        try:
            return import_target(target)
        except PluginFaultError as error:
            raise PluginFaultError(f"{kind} '{entry.name}' of {entry.source}: {error}") from error.__cause__
        except PluginError as error:
            raise PluginError(f"{kind} '{entry.name}' of {entry.source}: {error}") from error

    def _pick(self, kind: str, name: str, candidates: list[Named]) -> Named:
        found = [item for item in candidates if name in (item.name, item.full_name)]
        if len(found) == 1:
            return found[0]
        if found:
            spellings = listed(item.full_name for item in found)
            raise AmbiguousNameError(f"{kind} '{name}' is offered by several distributions; write one of {spellings}")
        names = [item.name for item in candidates]
        raise UnknownNameError(
            f"there is no {kind} '{name}'{nearest(name, names)} (installed: {listed(set(names))}){self._absent(name)}"
        )

    def _absent(self, name: str) -> str:
        """The plugins that might have had the name, had they loaded; with the cause for those that are called so."""
        failed, words = [], ""
        for row in self.plugins:
            if row.status == "failed" and _is_called(row.source, name):
                words += f"; plugin '{row.source.plugin}' of {row.source} failed to load: {row.cause}"
            elif row.status == "failed":
                failed.append(f"{row.source.plugin} of {row.source.distribution}")
        disabled = [row.source.plugin for row in self.plugins if row.status == "disabled"]
        if failed:
            words += f"; failed to load: {', '.join(failed)} (see `rslcore list-plugins`)"
        if disabled:
            words += f"; disabled: {', '.join(disabled)}"
        return words


def _is_called(source: Source, name: str) -> bool:
    """Whether a name is that of a plugin or of its distribution, with or without the usual `rslcore-`."""
    from packaging.utils import canonicalize_name

    asked = [canonicalize_name(part) for part in name.split("/")]
    called = {canonicalize_name(source.plugin), canonicalize_name(source.distribution)}
    return any(part in called or f"rslcore-{part}" in called for part in asked)


@functools.cache
def default_registry() -> Registry:
    """The registry of the installed plugins, loaded once a process."""
    return Registry.discover()
