"""Convolutional encoders of images, and fully connected layers upon their features.

Legend: B rows, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.errors import listed, nearest
from rslcore.layers import overwriting_activation
from rslcore.normalization import EmpiricalNormalization
from rslcore.observations import concatenate, find_groups
from rslcore_networks.config import CnnConfig, EncoderConfig
from rslcore_networks.mlp import output_layers

CHUNK = 4096
"""Images that go through an encoder at once when statistics are merged."""


class Cnn(nn.Module):
    """An encoder for each image group `[C, H, W]`, and fully connected layers upon the 1-D groups and all features.

    Images of integers are scaled by 1 / 255; storages keep them as they are. Only 1-D groups are normalized.

    Args:
        config: The options.
        context: Gives the observation groups and the device.
        num_outputs: Width of the last layer.

    Raises:
        ConfigError: The env does not have the groups; none is an image; an image is too small for its encoder.
    """

    def __init__(self, config: CnnConfig, context: Context, num_outputs: int) -> None:
        super().__init__()
        specs = find_groups(context, config.groups)
        for group, spec in specs.items():
            if len(spec.shape) not in (1, 3):
                raise context.error(
                    "groups",
                    f"group '{group}' has shape {list(spec.shape)}; this network reads images [C, H, W] and 1-D groups",
                )
            if len(spec.shape) == 3 and spec.shape[2] <= 4 < spec.shape[0]:
                raise context.error(
                    "groups",
                    f"the image '{group}' of shape {list(spec.shape)} seems to have its channels last; "
                    "this network reads [C, H, W]",
                )
        self.groups = tuple(group for group in config.groups if len(specs[group].shape) == 1)
        images = tuple(group for group in config.groups if len(specs[group].shape) == 3)
        if not images:
            raise context.error(
                "groups", f"there is no image [C, H, W] in {listed(config.groups)}; use the network 'mlp'"
            )
        for group in images:
            if "." in group or hasattr(nn.ModuleDict, group):
                raise context.error("groups", f"'{group}' cannot name an encoder in torch; rename the group")
        for group in config.encoders:
            if group not in images:
                raise context.error(
                    f"encoders.{group}",
                    f"is no image of this network{nearest(group, images)} (it has {listed(images)})",
                )
        self.encoders = nn.ModuleDict()
        num_features = sum(specs[group].size for group in self.groups)
        self.normalizer = EmpiricalNormalization(num_features) if config.normalize and self.groups else None
        for group in images:
            at = f"encoders.{group}" if group in config.encoders else "encoder"
            shape = specs[group].shape
            try:
                encoder, size = convolutions(config.encoders.get(group, config.encoder), shape)
            except RuntimeError as error:
                raise context.error(
                    at, f"the image '{group}' of shape {list(shape)} is too small for these convolutions ({error})"
                ) from error
            self.encoders[group] = encoder
            num_features += size
        self.layers = output_layers(config, num_features, num_outputs)
        self.to(context.device)

    @property
    def output_layer(self) -> nn.Module:
        """The layer that makes the outputs."""
        return self.layers[-1]

    def forward(self, obs: TensorDict) -> Tensor:
        """Observations `[B, ...]` to `[B, num_outputs]`."""
        features = [encoder(as_image(obs[group])) for group, encoder in self.encoders.items()]
        if self.groups:
            rows = concatenate(obs, self.groups)
            features.insert(0, rows if self.normalizer is None else self.normalizer(rows))
        outputs: Tensor = self.layers(features[0] if len(features) == 1 else torch.cat(features, dim=-1))
        return outputs

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics, those of 1-D groups and of batch normalization."""
        if self.normalizer is not None:
            self.normalizer.update(concatenate(obs, self.groups))
        for group, encoder in self.encoders.items():
            norms = [module for module in encoder.modules() if isinstance(module, BatchNorm)]
            if norms:
                merge_batch_statistics(encoder, norms, obs[group])


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization (Ioffe and Szegedy 2015) by its running statistics, while learning too.

    The statistics of the batch at hand would differ between acting, which sees N rows, and learning, which sees a
    minibatch: the policy that is updated would not be the one that has acted. So they are merged between updates only,
    like those of observations.
    """

    def train(self, mode: bool = True) -> BatchNorm:
        """Stay in evaluation mode."""
        super().train(False)
        return self


@torch.no_grad()
def merge_batch_statistics(encoder: nn.Module, norms: list[BatchNorm], pixels: Tensor) -> None:
    """Let images `[B, C, H, W]` through an encoder, and their features into its running statistics."""
    for norm in norms:
        norm.training = True
    for chunk in pixels.split(CHUNK):
        encoder(as_image(chunk))
    for norm in norms:
        norm.training = False


def as_image(pixels: Tensor) -> Tensor:
    """Pixels as float; integers from [0, 255] to [0, 1]. Those of a mask (bool) are 0 and 1 already."""
    if pixels.is_floating_point():
        return pixels
    return pixels.float() if pixels.dtype == torch.bool else pixels.float() / 255.0


def convolutions(config: EncoderConfig, shape: tuple[int, ...]) -> tuple[nn.Sequential, int]:
    """The layers that turn images `[B, *shape]` into features `[B, F]`, and F.

    Raises:
        RuntimeError: The image is too small.
    """
    layers: list[nn.Module] = []
    image = torch.zeros(1, *shape)  # goes through the layers for the sake of its shape
    for index, channels in enumerate(config.channels):
        kernel, stride = _item(config.kernel_sizes, index), _item(config.strides, index)
        dilation, norm = _item(config.dilations, index), _item(config.norm, index)
        padding = (0, 0)
        if config.padding != "none":
            height, width = image.shape[2:]
            padding = (_padding(height, kernel, stride, dilation), _padding(width, kernel, stride, dilation))
        mode = "zeros" if config.padding == "none" else config.padding
        convolution = nn.Conv2d(image.shape[1], channels, kernel, stride, padding, dilation, padding_mode=mode)
        image = convolution(image)
        layers.append(convolution)
        if norm == "batch":
            layers.append(BatchNorm(channels).train())
        elif norm == "layer":
            layers.append(nn.LayerNorm(image.shape[1:]))
        layers.append(overwriting_activation(config.activation))
        if _item(config.max_pool, index):
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            image = layers[-1](image)
    if config.global_pool != "none":
        layers.append(nn.AdaptiveMaxPool2d(1) if config.global_pool == "max" else nn.AdaptiveAvgPool2d(1))
        image = layers[-1](image)
    layers.append(nn.Flatten())
    return nn.Sequential(*layers), image[0].numel()


def _item(items: tuple[Any, ...], index: int) -> Any:
    return items[index] if len(items) > 1 else items[0]


def _padding(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Pixels on either side with which a convolution of `size` pixels has at least `size // stride` outputs."""
    missing = dilation * (kernel - 1) + 1 - stride - size % stride
    return max(0, math.ceil(missing / 2))
