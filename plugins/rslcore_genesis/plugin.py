"""Declares the env and the recipe `genesis`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the env and the recipe."""
    registry.add_env(
        "genesis",
        factory="rslcore_genesis.env:make_genesis_env",
        config="rslcore_genesis.config:GenesisConfig",
        summary="An env over Genesis, a class of yours, many times at once. Needs the extra [genesis].",
    )
    registry.add_recipe(
        "genesis",
        function="rslcore_genesis.recipe:make_recipe",
        env="genesis",
        summary="An env over Genesis with its own agent's settings; name it by env.factory=... env.cfgs=...",
    )
