"""Declares the algorithm `ppo`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register PPO."""
    registry.add_algorithm(
        "ppo",
        factory="rslcore_ppo.ppo:PPO",
        config="rslcore_ppo.config:PpoConfig",
        summary="Proximal policy optimization (Schulman et al. 2017) with GAE and an adaptive learning rate.",
    )
