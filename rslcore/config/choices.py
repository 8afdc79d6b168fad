"""Choices that several configs offer."""

from __future__ import annotations

from typing import Literal

Activation = Literal["elu", "relu", "tanh", "gelu", "silu", "leaky_relu", "selu", "celu", "sigmoid", "softplus", "mish"]
"""Nonlinearity between the layers of a network; `rslcore.layers.ACTIVATIONS` holds their classes."""

Shuffle = Literal["epoch", "rollout", "none"]
"""How often the rows of a rollout, or the envs of a recurrent one, are permuted before they are cut in minibatches."""

OnBadNumbers = Literal["stop", "skip", "reset"]
"""What a run does when numbers of an env or of an update are not finite."""

Precision = Literal["fp32", "tf32", "bf16"]
"""Number format of the networks' matrix products while learning; parameters and losses are always in full precision."""

Execution = Literal["auto", "eager", "compile", "cuda_graph"]
"""How the functions of an algorithm are run; see `rslcore.execution`."""

OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]
"""Name of an optimizer in `rslcore.optim.OPTIMIZERS`."""
