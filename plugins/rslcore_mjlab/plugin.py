"""Declares the env and the recipe `mjlab`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the env and the recipe."""
    registry.add_env(
        "mjlab",
        factory="rslcore_mjlab.env:make_mjlab_env",
        config="rslcore_mjlab.config:MjlabConfig",
        summary="A task of mjlab, many times at once. Needs the extra [mjlab].",
    )
    registry.add_recipe(
        "mjlab",
        function="rslcore_mjlab.recipe:make_recipe",
        env="mjlab",
        summary="A task of mjlab with its own agent's settings; name it by env.task=...",
    )
