"""Options of the networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rslcore.config import Activation, Range, config, option
from rslcore.errors import ConfigError


@config
class MlpConfig:
    """Fully connected layers."""

    groups: tuple[str, ...] = option(("policy",), "Observation groups that are read, concatenated in this order.")
    hidden_dims: tuple[int, ...] = option((256, 256, 256), "Width of each hidden layer.", Range(1, 65_536))
    activation: Activation = option("elu", "Between the layers, not after the last one.")
    normalize: bool = option(
        False, "Whether inputs are brought to mean 0 and standard deviation 1 by what has been observed so far."
    )
    init: Literal["default", "orthogonal"] = option(
        "default", "Initial weights: torch's own, or orthogonal with gain sqrt(2) and zero biases."
    )
    output_scale: float = option(
        1.0, "Factor on the initial weights of the last layer; 0.01 makes first actions small.", Range(0.0)
    )


@config
class RecurrentConfig(MlpConfig):
    """A recurrent network, whose outputs go through fully connected layers."""

    rnn_hidden_dim: int = option(256, "Width of the memory.", Range(1, 65_536))
    rnn_num_layers: int = option(1, "Recurrent layers, one upon the other.", Range(1, 100))


@config
class EncoderConfig:
    """Convolutions that turn an image `[C, H, W]` into features.

    Each list has an item a layer; a list of one item holds for all.
    """

    channels: tuple[int, ...] = option((16, 32), "Output channels of each convolution.", Range(1, 65_536))
    kernel_sizes: tuple[int, ...] = option((3,), "Edge of each kernel, in pixels.", Range(1, 4096))
    strides: tuple[int, ...] = option((1,), "Step of each kernel, in pixels.", Range(1, 4096))
    dilations: tuple[int, ...] = option((1,), "Distance between the pixels that a kernel reads.", Range(1, 4096))
    padding: Literal["none", "zeros", "reflect", "replicate", "circular"] = option(
        "none", "What surrounds the image so that a convolution of stride 1 and odd kernel size keeps its size."
    )
    norm: tuple[Literal["none", "batch", "layer"], ...] = option(("none",), "Normalization after each convolution.")
    activation: Activation = option("elu", "After each convolution.")
    max_pool: tuple[bool, ...] = option((False,), "Whether each layer ends with 3 x 3 max pooling of stride 2.")
    global_pool: Literal["none", "max", "avg"] = option("none", "Over what is left of the image, at the end.")

    def __attrs_post_init__(self) -> None:
        for name in ("kernel_sizes", "strides", "dilations", "norm", "max_pool"):
            items = getattr(self, name)
            if len(items) not in (1, len(self.channels)):
                raise ConfigError.at(
                    name,
                    f"{list(items)} has {len(items)} items; give one, or one for each of the "
                    f"{len(self.channels)} layers in channels",
                )


@config
class CnnConfig(MlpConfig):
    """Convolutional encoders of image groups, whose features go through fully connected layers with the 1-D groups."""

    encoder: EncoderConfig = option(EncoderConfig(), "How image groups are encoded, each by an encoder of its own.")
    encoders: Mapping[str, EncoderConfig] = option(
        {}, "How single image groups are encoded instead, by name of the group."
    )
