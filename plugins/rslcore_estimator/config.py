"""Options of the estimator."""

from __future__ import annotations

from typing import Literal

from rslcore.config import Activation, Range, config, option


@config
class EstimatorConfig:
    """An encoder estimates, from the latest observations, what only training sees; networks can read the estimate."""

    groups: tuple[str, ...] = option(
        ("policy",), "Observation groups, 1-D and the env's own, whose latest values are encoded."
    )
    targets: tuple[str, ...] = option(
        ("privileged",), "Observation groups, 1-D and the env's own, that are estimated. Acting does not need them."
    )
    output_group: str = option(
        "estimate", "Name of the observation group that is added: the estimate, with `variational` the context behind."
    )
    history_length: int = option(
        5,
        "H, observations that are encoded, the present one included; the first one of an episode fills up.",
        Range(1, 10_000),
    )
    loss: Literal["regression", "variational"] = option(
        "regression",
        "`regression` learns the targets; `variational` also a context from which the next observation can be told.",
    )
    num_context: int = option(8, "For `variational`: C, the size of the context.", Range(1, 65_536))
    beta: float = option(0.1, "For `variational`: the weight of the divergence from the prior.", Range(0.0))
    hidden_dims: tuple[int, ...] = option(
        (128, 64), "Width of each hidden layer of the encoder; the decoder has them in reverse.", Range(1, 65_536)
    )
    activation: Activation = option("elu", "Between the layers of both, not after the last one.")
    learning_rate: float = option(
        1e-3, "Of the estimator's own Adam; it does not follow the KL divergence.", Range(0.0, open_low=True)
    )
