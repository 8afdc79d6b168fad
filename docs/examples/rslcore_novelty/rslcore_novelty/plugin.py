"""Declares the extension `novelty`."""

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the extension."""
    registry.add_extension(
        "novelty",
        factory="rslcore_novelty.extension:Novelty",
        config="rslcore_novelty.config:NoveltyConfig",
        summary="A reward for observations that a network cannot predict yet.",
    )
