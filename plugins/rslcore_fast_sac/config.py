"""Options of fast_sac and of its policy."""

from __future__ import annotations

import attrs

from rslcore.config import (
    Activation,
    ExtensionComponent,
    NetworkComponent,
    OptimizerName,
    Precision,
    Range,
    config,
    option,
)


@config
class FastSacConfig:
    """Soft actor-critic for parallel simulation.

    An iteration collects `num_envs * num_steps_per_env` transitions and makes `num_updates` optimizer steps; the ratio
    of the two decides between learning from few steps and learning in little time.
    """

    num_updates: int = option(32, "Optimizer steps of an iteration.", Range(1, 1_000_000))
    batch_size: int = option(256, "B, windows that are sampled for an optimizer step.", Range(1, 10_000_000))
    num_steps: int = option(3, "Steps of reward before the critics are asked (n-step returns).", Range(1, 1000))
    learning_starts: int = option(
        5_000,
        "Transitions in the replay before learning begins. Until a policy has learned, actions are random.",
        Range(1),
    )
    gamma: float = option(0.99, "Discount of a step.", Range(0.0, 1.0))
    learning_rate: float = option(3e-4, "Of actor, critics and temperature.", Range(0.0, open_low=True))
    optimizer: OptimizerName = option("adam", "What steps the parameters.")
    target_rate: float = option(
        0.005, "Share of the way that the target critics go to the critics after each step.", Range(0.0, 1.0)
    )
    init_temperature: float = option(
        0.1, "First weight of the entropy against the reward; it is learned from then on.", Range(0.0, open_low=True)
    )
    target_entropy_per_action: float = option(
        -1.0,
        "Entropy, in nats an action in [-1, 1], to which the temperature steers the policy; -1, the usual choice, is "
        "that of an interval of width 0.37, and 0.69 that of uniform actions, more than which there is not.",
        Range(high=0.69),
    )
    precision: Precision = option(
        "fp32", "Number format of the networks' matrix products in an update; `bf16` is faster on hardware that has it."
    )
    extensions: tuple[ExtensionComponent, ...] = option((), "What plugins add to the algorithm, in this order.")


@config
class SoftActorConfig:
    """From observations to a distribution over actions."""

    network: NetworkComponent = option(
        attrs.NOTHING, "Maps observations to mean and log standard deviation of each action, before the tanh."
    )


@config
class SoftCriticConfig:
    """From observations and actions to values: an ensemble of fully connected networks."""

    groups: tuple[str, ...] = option(("policy",), "Observation groups that are read, concatenated in this order.")
    hidden_dims: tuple[int, ...] = option((256, 256), "Width of each hidden layer.", Range(1, 65_536))
    activation: Activation = option("relu", "Between the layers.")
    normalize: bool = option(
        False, "Whether observations are brought to mean 0 and standard deviation 1 by what has been observed so far."
    )
    layer_norm: bool = option(
        True, "Whether each hidden layer's features are normalized before the activation, which keeps values bounded."
    )
    num_critics: int = option(
        2, "E, critics of the ensemble; the smallest value of them is learned from.", Range(1, 1000)
    )


@config
class SoftActorCriticConfig:
    """An actor and an ensemble of critics."""

    actor: SoftActorConfig = option(attrs.NOTHING, "Chooses actions.")
    critic: SoftCriticConfig = option(SoftCriticConfig(), "Estimates returns.")
