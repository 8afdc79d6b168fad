"""Declares the extension `estimator` and a recipe that uses it."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the estimator and its recipe."""
    registry.add_extension(
        "estimator",
        factory="rslcore_estimator.extension:Estimator",
        config="rslcore_estimator.config:EstimatorConfig",
        summary="Estimates what only training sees from the latest observations, for the actor (Ji et al. 2022).",
    )
    registry.add_recipe(
        "pendulum_estimator",
        file="rslcore_estimator:recipes/pendulum_estimator.yaml",
        summary="Pendulum-v1 with PPO, without its speed, which is estimated from the latest angles.",
    )
