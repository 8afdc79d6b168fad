"""Declares the env `gymnasium` and the recipes that use it."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the env and the recipes."""
    registry.add_env(
        "gymnasium",
        factory="rslcore_gymnasium.env:GymnasiumEnv",
        config="rslcore_gymnasium.config:GymnasiumConfig",
        summary="Any env of Gymnasium's registry, through its vector API.",
    )
    registry.add_recipe(
        "cartpole",
        file="rslcore_gymnasium:recipes/cartpole.yaml",
        summary="CartPole-v1 with PPO: a return of 475 and more, in seconds.",
    )
    registry.add_recipe(
        "cartpole_memory",
        file="rslcore_gymnasium:recipes/cartpole_memory.yaml",
        summary="CartPole-v1 without its speeds, with PPO and a network that remembers.",
    )
    registry.add_recipe(
        "pendulum",
        file="rslcore_gymnasium:recipes/pendulum.yaml",
        summary="Pendulum-v1 with PPO: continuous actions.",
    )
    registry.add_recipe(
        "pendulum_teacher",
        file="rslcore_gymnasium:recipes/pendulum_teacher.yaml",
        summary="Pendulum-v1 with PPO, its speed in a group of its own: the teacher of pendulum_student.",
    )
    registry.add_recipe(
        "pendulum_student",
        file="rslcore_gymnasium:recipes/pendulum_student.yaml",
        summary="Pendulum-v1 without its speed: distillation of pendulum_teacher, to be trained first.",
    )
    registry.add_recipe(
        "halfcheetah",
        file="rslcore_gymnasium:recipes/halfcheetah.yaml",
        summary="HalfCheetah-v5 with PPO, a million steps; needs the extra [mujoco].",
    )
