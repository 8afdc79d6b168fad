"""Declares the env and the recipe `playground`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the env and the recipe."""
    registry.add_env(
        "playground",
        factory="rslcore_playground.env:make_playground_env",
        config="rslcore_playground.config:PlaygroundConfig",
        summary="A task of MuJoCo Playground, many times at once. Needs the extra [playground].",
    )
    registry.add_recipe(
        "playground",
        function="rslcore_playground.recipe:make_recipe",
        env="playground",
        summary="A task of MuJoCo Playground with its own agent's settings; name it by env.task=...",
    )
