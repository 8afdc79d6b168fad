"""Declares the recipe `halfcheetah_multi_discrete`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the recipe; the env is Gymnasium's business, which the recipe's `env.id` imports."""
    registry.add_recipe(
        "halfcheetah_multi_discrete",
        file="rslcore_multi_discrete:recipes/halfcheetah_multi_discrete.yaml",
        summary="HalfCheetah-v5 with PPO, each of its 6 torques one of 5 numbers: several discrete actions.",
    )
