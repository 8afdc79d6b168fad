"""Declares the env and the recipe `isaaclab`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the env and the recipe."""
    registry.add_env(
        "isaaclab",
        factory="rslcore_isaaclab.env:make_isaaclab_env",
        config="rslcore_isaaclab.config:IsaacLabConfig",
        summary="A task of Isaac Lab, many times at once. Needs Isaac Lab.",
    )
    registry.add_recipe(
        "isaaclab",
        function="rslcore_isaaclab.recipe:make_recipe",
        env="isaaclab",
        summary="A task of Isaac Lab with its own agent's settings; name it by env.task=...",
    )
