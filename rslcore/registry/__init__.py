"""Which components exist, who brought them, and how one is found by name.

A plugin is a distribution with an entry point in the group `rslcore` that names a light module (one that does not
import torch). The module declares what it brings:

    from rslcore.registry import Registrar, hookimpl

    PLUGIN_API = 1

    @hookimpl
    def rslcore_register(registry: Registrar) -> None:
        registry.add_algorithm(
            "amp",
            factory="rslcore_amp.algorithm:AMP",
            config="rslcore_amp.config:AmpConfig",
            summary="Adversarial motion priors.",
        )

Targets are strings, so that listing a hundred plugins imports none of their code; a factory is imported when it is
built, a config class when a config that names it is read.
"""

from rslcore.registry.entries import KINDS, Command, Entry, Kind, Recipe, Source
from rslcore.registry.hookspec import PLUGIN_API, hookimpl
from rslcore.registry.loader import PluginRow
from rslcore.registry.registrar import Registrar
from rslcore.registry.registry import Registry, default_registry

__all__ = [
    "KINDS",
    "PLUGIN_API",
    "Command",
    "Entry",
    "Kind",
    "PluginRow",
    "Recipe",
    "Registrar",
    "Registry",
    "Source",
    "default_registry",
    "hookimpl",
]
