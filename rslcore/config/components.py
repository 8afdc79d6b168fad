"""A component in a config: `{name: ppo, clip_param: 0.2}`.

One class a kind, so that the type of a field says which kind it takes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs


@attrs.frozen
class Component:
    """A component that a config names, with its options.

    Attributes:
        name: Bare name, or `distribution/name`.
        config: The component's own config, an instance of the class that its plugin registered.
    """

    kind: ClassVar[str]

    name: str
    config: Any


class AlgorithmComponent(Component):
    """An algorithm by name."""

    kind = "algorithm"


class PolicyComponent(Component):
    """A policy by name."""

    kind = "policy"


class StorageComponent(Component):
    """A storage by name."""

    kind = "storage"


class RunnerComponent(Component):
    """A runner by name."""

    kind = "runner"


class EnvComponent(Component):
    """An env by name."""

    kind = "env"


class LoggerComponent(Component):
    """A logger by name."""

    kind = "logger"


class NetworkComponent(Component):
    """A network by name."""

    kind = "network"


class DistributionComponent(Component):
    """A distribution by name."""

    kind = "distribution"


class ExtensionComponent(Component):
    """An extension by name."""

    kind = "extension"
