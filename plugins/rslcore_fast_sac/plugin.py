"""Declares the algorithm `fast_sac`, the policy that it trains, and a recipe."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register algorithm, policy and recipe."""
    registry.add_algorithm(
        "fast_sac",
        factory="rslcore_fast_sac.fast_sac:FastSac",
        config="rslcore_fast_sac.config:FastSacConfig",
        summary="Soft actor-critic (Haarnoja et al. 2018) for many envs at once, with returns of n steps.",
    )
    registry.add_policy(
        "soft_actor_critic",
        factory="rslcore_fast_sac.policy:SoftActorCritic",
        config="rslcore_fast_sac.config:SoftActorCriticConfig",
        summary="An actor with a tanh-Gaussian distribution, and an ensemble of critics of observations and actions.",
    )
    registry.add_recipe(
        "halfcheetah_sac",
        file="rslcore_fast_sac:recipes/halfcheetah_sac.yaml",
        summary="HalfCheetah-v5 with fast_sac: a return of 3,000 in minutes; needs the extra [mujoco].",
    )
