"""Registries for tests: made of the plugin modules that a test hands in, not of what happens to be installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import distributions
from types import ModuleType

from rslcore.registry import PluginRow, Registry, Source
from rslcore.registry.loader import GROUP, new_plugin_manager, register_module
from rslcore.testing.fakes import plugin as fakes


def build_registry(*modules: ModuleType) -> Registry:
    """A registry of the fakes and of these plugin modules; it discovers nothing by itself.

    Args:
        modules: Plugin modules, such as `rslcore_amp.plugin`. One that an installed distribution declares is recorded
            with that distribution, another one with the name of its package.

    Raises:
        PluginError: A module is no plugin, or declares what does not exist.
    """
    return extend_registry(Registry((), new_plugin_manager()), (fakes, *modules))


def installed_registry() -> Registry:
    """The installed plugins, and the fakes."""
    return with_fakes(Registry.discover())


def with_fakes(registry: Registry) -> Registry:
    """The plugins of a registry, and the fakes."""
    return extend_registry(registry, (fakes,))


def extend_registry(registry: Registry, modules: Sequence[ModuleType]) -> Registry:
    """A registry of the plugins of another one, which stays as it is, and of these modules."""
    manager = new_plugin_manager()
    for name, plugin in registry.manager.list_name_plugin():
        manager.register(plugin, name)
    rows = list(registry.plugins)
    for module in modules:
        source = _find_source(module)
        registrar = register_module(manager, module, source)
        rows.append(PluginRow(source, "ok", "", tuple(registrar.entries), tuple(registrar.recipes)))
    return Registry(rows, manager)


def _find_source(module: ModuleType) -> Source:
    if module is fakes:
        from rslcore import __version__

        return Source("testing", "rslcore", __version__, module.__name__)
    for distribution in distributions():
        for entry_point in distribution.entry_points.select(group=GROUP):
            if entry_point.module == module.__name__:
                name = distribution.metadata["Name"]
                return Source(entry_point.name, name, distribution.version, entry_point.value)
    package = module.__name__.partition(".")[0]
    return Source(package.removeprefix("rslcore_"), package.replace("_", "-"), "0", module.__name__)
