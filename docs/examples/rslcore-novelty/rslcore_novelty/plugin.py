"""Declares the extension `novelty` and a recipe that trains with it.

`rslcore list-plugins` imports this module, so it is light: the classes are named as strings and imported when they are
needed.
"""

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the extension and the recipe."""
    registry.add_extension(
        "novelty",
        factory="rslcore_novelty.extension:NoveltyExtension",
        config="rslcore_novelty.config:NoveltyConfig",
        summary="A reward for observations that a network cannot predict yet.",
    )
    registry.add_recipe(
        "novelty",
        file="rslcore_novelty:recipes/novelty.yaml",
        summary="CartPole-v1 with PPO and a reward for what is new.",
    )
