"""What a run was made with: which plugin, of which distribution and version, each of its components came from."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import torch
import yaml

from rslcore import __version__
from rslcore.config import Component, ExperimentConfig
from rslcore.errors import ConfigError, RegistryError
from rslcore.registry import Registry, Source

_HEAD = "# What this run was made with, from which iteration on. Written by rslcore; its checkpoints hold the same.\n"


@attrs.frozen
class UsedPlugin:
    """A plugin, and the components of a run that came from it.

    Attributes:
        source: Plugin, distribution, version and module.
        components: Kind and name of each, the name as the config has it.
    """

    source: Source
    components: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for files."""
        return {**attrs.asdict(self.source), "components": [" ".join(component) for component in self.components]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UsedPlugin:
        """The inverse of `to_dict`."""
        fields = dict(data)
        components = tuple(tuple(text.split(" ", 1)) for text in fields.pop("components"))
        return cls(Source(**fields), components)


@attrs.frozen
class Provenance:
    """What a run was made with, from an iteration on.

    Attributes:
        since_iteration: Number of iterations that were done when it began: 0, or where the run was resumed.
        versions: Of Python, torch and rslcore.
        plugins: Those that the run's components came from.
    """

    since_iteration: int
    versions: Mapping[str, str]
    plugins: tuple[UsedPlugin, ...]

    @classmethod
    def of(cls, config: ExperimentConfig, registry: Registry, since_iteration: int = 0) -> Provenance:
        """What a config is made with now. Raises ConfigError if it names what is not installed."""
        versions = {"python": platform.python_version(), "torch": str(torch.__version__), "rslcore": __version__}
        return cls(since_iteration, versions, used_plugins(config, registry))

    def among(self, config: ExperimentConfig) -> Provenance:
        """What of it matters to a config: the plugins of components that the config still names."""
        names = set(_named(config))
        plugins = [
            attrs.evolve(plugin, components=tuple(name for name in plugin.components if name in names))
            for plugin in self.plugins
        ]
        return attrs.evolve(self, plugins=tuple(plugin for plugin in plugins if plugin.components))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for files."""
        plugins = [plugin.to_dict() for plugin in self.plugins]
        return {"since_iteration": self.since_iteration, **self.versions, "plugins": plugins}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Provenance:
        """The inverse of `to_dict`."""
        versions = dict(data)
        since, plugins = versions.pop("since_iteration"), versions.pop("plugins")
        return cls(since, versions, tuple(map(UsedPlugin.from_dict, plugins)))


def continued(history: Sequence[Provenance], now: Provenance) -> tuple[Provenance, ...]:
    """The history of a run that goes on with what is there now; unchanged if that is what it was last made with."""
    if history and attrs.evolve(history[-1], since_iteration=now.since_iteration) == now:
        return tuple(history)
    return (*history, now)


def dump_history(history: Sequence[Provenance]) -> str:
    """The history as YAML, for people that look into the run's folder: a line for each component."""
    stages = [
        {
            "since_iteration": stage.since_iteration,
            **stage.versions,
            "components": {
                f"{kind} {name}": attrs.asdict(plugin.source)
                for plugin in stage.plugins
                for kind, name in plugin.components
            },
        }
        for stage in history
    ]
    return _HEAD + yaml.safe_dump(stages, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000)


def used_plugins(config: Any, registry: Registry) -> tuple[UsedPlugin, ...]:
    """The plugins of every component that a config names, at any depth.

    Raises:
        ConfigError: A component is not installed; a config made in Python may name such a one.
    """
    used: dict[Source, list[tuple[str, str]]] = defaultdict(list)
    try:
        for kind, name in dict.fromkeys(_named(config)):
            used[registry.find(kind, name).source].append((kind, name))
    except RegistryError as error:
        raise ConfigError.at("", str(error)) from error
    return tuple(UsedPlugin(source, tuple(components)) for source, components in used.items())


def _named(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Component):
        yield value.kind, value.name
        yield from _named(value.config)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _named(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _named(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _named(item)
