"""What is written for each kind of component, in words."""

from __future__ import annotations

import attrs


@attrs.frozen
class Skeleton:
    """What the component that is written for a kind does, until its author makes something else of it.

    Attributes:
        summary: For the lists of components, and as the distribution's description.
        recipe_summary: For the list of recipes.
    """

    summary: str
    recipe_summary: str


SKELETONS: dict[str, Skeleton] = {
    "algorithm": Skeleton(
        "Advantage actor-critic: one step of the optimizer a rollout.",
        "CartPole-v1 with an advantage actor-critic.",
    ),
    "policy": Skeleton(
        "An actor and a critic that share all layers but the last.",
        "CartPole-v1 with PPO and a policy whose actor and critic share layers.",
    ),
    "storage": Skeleton(
        "One rollout, of which an epoch learns from a random share.",
        "CartPole-v1 with PPO that learns from half of each rollout an epoch.",
    ),
    "runner": Skeleton(
        "Collects and updates until all iterations are done, or the time is up.",
        "CartPole-v1 with PPO, for two minutes at the most.",
    ),
    "env": Skeleton(
        "Points in the plane that are pushed to the origin.",
        "Push points to the origin, with PPO.",
    ),
    "logger": Skeleton(
        "Metrics as lines of JSON in the run's folder.",
        "CartPole-v1 with PPO, its metrics in a file of JSON lines.",
    ),
    "network": Skeleton(
        "Fully connected layers, each of which reads the observations too.",
        "CartPole-v1 with PPO and dense networks.",
    ),
    "distribution": Skeleton(
        "Independent Laplace distributions, one an action.",
        "Pendulum-v1 with PPO and Laplace noise.",
    ),
    "extension": Skeleton(
        "A penalty on actions that change much from step to step.",
        "Pendulum-v1 with PPO and a penalty on changing actions.",
    ),
}
