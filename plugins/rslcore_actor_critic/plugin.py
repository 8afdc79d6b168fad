"""Declares the policy `actor_critic`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the actor-critic."""
    registry.add_policy(
        "actor_critic",
        factory="rslcore_actor_critic.policy:ActorCritic",
        config="rslcore_actor_critic.config:ActorCriticConfig",
        summary="A stochastic actor and a critic, each with a network of its own.",
    )
