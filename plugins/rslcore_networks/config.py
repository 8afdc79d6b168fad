"""Options of the networks."""

from __future__ import annotations

from typing import Literal

from rslcore.config import Range, config, option


@config
class MlpConfig:
    """Fully connected layers."""

    groups: tuple[str, ...] = option(("policy",), "Observation groups that are read, concatenated in this order.")
    hidden_dims: tuple[int, ...] = option((256, 256, 256), "Width of each hidden layer.", Range(1))
    activation: Literal["elu", "relu", "tanh", "gelu", "silu", "leaky_relu"] = option(
        "elu", "Between the layers, not after the last one."
    )
    normalize: bool = option(
        False, "Whether inputs are brought to mean 0 and standard deviation 1 by what has been observed so far."
    )
    init: Literal["default", "orthogonal"] = option(
        "default", "Initial weights: torch's own, or orthogonal with gain sqrt(2) and zero biases."
    )
    output_scale: float = option(
        1.0, "Factor on the initial weights of the last layer; 0.01 makes first actions small.", Range(0.0)
    )
