"""The discriminator of motions: its network, its losses, and the reward for deceiving it.

Legend: B transitions, D features of an observation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rslcore.config import Activation
from rslcore.layers import fully_connected
from rslcore.normalization import EmpiricalNormalization


class Discriminator(nn.Module):
    """A number for a transition: near 1 for the reference, near -1 for the policy.

    Args:
        num_features: D.
        hidden_dims: Width of each hidden layer.
        activation: Between the layers.
    """

    def __init__(self, num_features: int, hidden_dims: Sequence[int], activation: Activation) -> None:
        super().__init__()
        self.normalizer = EmpiricalNormalization(num_features)
        self.network = fully_connected((2 * num_features, *hidden_dims, 1), activation)

    def forward(self, normalized: Tensor) -> Tensor:
        """Outputs `[B]` for transitions `[B, 2, D]` that `normalizer` has normalized."""
        outputs: Tensor = self.network(normalized.flatten(1)).squeeze(-1)
        return outputs

    def layer_weights(self) -> list[Tensor]:
        """The weight matrices of all layers, in their order."""
        return [layer.weight for layer in self.network if isinstance(layer, nn.Linear)]


def least_squares_loss(policy: Tensor, reference: Tensor) -> Tensor:
    """`mean((d_reference - 1)^2) + mean((d_policy + 1)^2)` of outputs `[B]` (Peng et al. 2021, equation 6)."""
    return (reference - 1.0).square().mean() + (policy + 1.0).square().mean()


def gradient_penalty(outputs: Tensor, inputs: Tensor) -> Tensor:
    """Mean squared norm of the gradients of outputs `[B]` by inputs `[B, 2, D]` (Peng et al. 2021, equation 8).

    The inputs need gradients, and so do those gradients: the result is a loss.
    """
    (gradients,) = torch.autograd.grad(outputs.sum(), inputs, create_graph=True)
    return gradients.flatten(1).square().sum(1).mean()


def style_reward(outputs: Tensor) -> Tensor:
    """`max(0, 1 - 0.25 (d - 1)^2)` of outputs `[B]`, in [0, 1] (Peng et al. 2021, equation 7)."""
    return (1.0 - 0.25 * (outputs - 1.0).square()).clamp(min=0.0)


def accuracy(policy: Tensor, reference: Tensor) -> Tensor:
    """Share of outputs `[B]` of either kind that have the right sign."""
    return torch.cat([policy < 0.0, reference > 0.0]).float().mean()
