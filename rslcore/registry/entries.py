"""What the registry holds: kinds, components, recipes, commands and where each came from."""

from __future__ import annotations

import attrs


@attrs.frozen
class Kind:
    """A kind of component.

    Attributes:
        name: As it is written on the command line (`algorithm`).
        protocol: The class in `rslcore.protocols` that a component of this kind satisfies.
        summary: What such a component is for, in a sentence.
        parts: What its factory takes beside config and context, by keyword.
    """

    name: str
    protocol: str
    summary: str
    parts: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "algorithm",
            "Algorithm",
            "Chooses actions while a rollout is collected and learns from it.",
            ("policy", "storage"),
        ),
        Kind("policy", "Policy", "The networks that an algorithm trains, from observations to actions."),
        Kind("storage", "Storage", "Keeps what was collected and hands it out in minibatches."),
        Kind("runner", "Runner", "The loop: collect, update, log, checkpoint.", ("env", "algorithm", "session")),
        Kind("env", "Env", "Many environments that are stepped at once."),
        Kind("logger", "Logger", "Receives the metrics of every iteration."),
        Kind("network", "Network", "Maps observation groups to a tensor.", ("num_outputs",)),
        Kind("distribution", "Distribution", "Turns a network's output into a distribution over actions."),
        Kind("extension", "Extension", "Adds losses, fields, rewards or data to an algorithm through its hooks."),
    )
}

COMMANDS = ("list-plugins", "describe", "train", "eval", "export", "new-plugin", "check-plugin")
"""The commands of rslcore itself, in the order in which a user meets them; a plugin's have other names."""


@attrs.frozen
class Source:
    """Where a component came from: recorded with every run and checkpoint.

    Attributes:
        plugin: Name of the entry point.
        distribution: Name of the installed distribution, as pip knows it.
        version: Its version.
        module: The plugin module that the entry point names.
    """

    plugin: str
    distribution: str
    version: str
    module: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@attrs.frozen
class Entry:
    """A registered component.

    Attributes:
        kind: Key of `KINDS`.
        name: Bare name, as it is written in a config.
        factory: `module:attribute` of what builds the component; called as `factory(config, context, **parts)`, with
            the parts of its kind.
        config: `module:attribute` of its attrs config class.
        summary: A sentence for lists.
        source: Who registered it.
    """

    kind: str
    name: str
    factory: str
    config: str
    summary: str
    source: Source

    @property
    def full_name(self) -> str:
        """`distribution/name`, which always works, also where two distributions offer the bare name."""
        return f"{self.source.distribution}/{self.name}"


@attrs.frozen
class Recipe:
    """A complete configuration that a plugin brings: a YAML file, or what a function makes of what is asked for.

    Attributes:
        name: As in `rslcore train <name>`.
        file: `package:path/inside/it.yaml`; empty for a computed one.
        function: `module:function`, called with the overrides as nested plain data, such as `{"env": {"task": "x"}}`;
            returns the config as plain data. Overrides are applied to that as to any other. Empty for a file.
        env: Name of the env that the function makes a config of, so that misspelt options of it are told of before the
            function is called; empty if that depends on what is asked for, and for a file.
        summary: A sentence for lists.
        source: Who registered it.
    """

    name: str
    file: str
    function: str
    env: str
    summary: str
    source: Source

    @property
    def full_name(self) -> str:
        """`distribution/name`, which always works."""
        return f"{self.source.distribution}/{self.name}"


@attrs.frozen
class Command:
    """A command that a plugin adds to `rslcore`.

    Attributes:
        name: As in `rslcore <name>`; none of `COMMANDS`.
        target: `module:attribute` of a `click.Command`, imported when the command is called.
        summary: A sentence for lists.
        source: Who registered it.
    """

    name: str
    target: str
    summary: str
    source: Source

    @property
    def full_name(self) -> str:
        """`distribution/name`, which always works."""
        return f"{self.source.distribution}/{self.name}"
