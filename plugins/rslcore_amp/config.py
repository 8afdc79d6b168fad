"""Options of adversarial motion priors."""

from __future__ import annotations

import attrs

from rslcore.config import Activation, Range, config, option


@config
class AmpConfig:
    """A discriminator learns to tell the policy's transitions from those of reference motions; to deceive it is a
    reward.
    """

    motions: str = option(
        attrs.NOTHING,
        "The `.npz` file of reference motions; `package:path/in/it.npz` for one that lies in an installed package. "
        "`python -m rslcore_amp.record` makes one.",
    )
    groups: tuple[str, ...] = option(
        ("policy",),
        "Observation groups that the discriminator sees, of both ends of a transition. They are the env's own, and the "
        "file has each of them.",
    )
    hidden_dims: tuple[int, ...] = option(
        (256, 256), "Width of each hidden layer of the discriminator.", Range(1, 65_536)
    )
    activation: Activation = option("relu", "Between its layers, not after the last one.")
    learning_rate: float = option(
        1e-4,
        "Of the discriminator in the algorithm's optimizer; it does not follow the KL divergence.",
        Range(0.0, open_low=True),
    )
    gradient_penalty_coef: float = option(
        10.0,
        "w_gp: half of it is the weight of the squared norm of the gradient by normalized reference transitions.",
        Range(0.0),
    )
    logit_regularization_coef: float = option(
        0.05, "Weight of the sum of squares of the last layer's weights.", Range(0.0)
    )
    weight_decay_coef: float = option(1e-4, "Weight of the sum of squares of the weights of all layers.", Range(0.0))
    replay_size: int = option(
        100_000,
        "Number of the policy's transitions that are kept to learn from; two observations each, in checkpoints too.",
        Range(1, 100_000_000),
    )
    task_reward_weight: float = option(
        0.5,
        "w_G: factor on the reward that is there already, of the env and of extensions before this one.",
        Range(0.0),
    )
    style_reward_weight: float = option(0.5, "w_S: factor on the style reward, which is in [0, 1].", Range(0.0))
