"""Adam that reads no tensor on the host.

`torch.optim.Adam` reads each parameter's step count, and a learning rate that is a tensor, on the host: on a CPU in
every implementation, on CUDA in all but the fused one. Here the step count and the learning rate stay on the device,
so that a learning rate may follow the KL divergence without a synchronisation, and all parameters of a group are
updated as one flat vector, which is also faster for the small networks of robot learning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class AdamGroup:
    """Parameters that share a learning rate and a gradient norm.

    Args:
        parameters: The parameters, all on one device, all float32.
        learning_rate: Scalar tensor on that device; may be shared with other groups and changed in place.
        max_grad_norm: The group's gradient is scaled down to this 2-norm; None for no limit.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: Tensor, max_grad_norm: float | None) -> None:
        self.parameters = list(parameters)
        self._tensors: list[Tensor] = list(self.parameters)
        self.learning_rate = learning_rate
        self.max_grad_norm = max_grad_norm
        sizes = [parameter.numel() for parameter in self.parameters]
        first = self.parameters[0]
        # Double precision: in single, 1 - beta2 ** steps is off by 6e-5 at the first step.
        self.steps = torch.zeros((), device=first.device, dtype=torch.float64)
        self.mean = torch.zeros(sum(sizes), device=first.device, dtype=first.dtype)
        self.mean_square = torch.zeros_like(self.mean)
        self.gradient = torch.zeros_like(self.mean)
        self.change = torch.zeros_like(self.mean)
        self._change_views = self._views(self.change, sizes)
        self._zeros = [torch.zeros_like(view) for view in self._change_views]

    def _views(self, flat: Tensor, sizes: list[int]) -> list[Tensor]:
        parts = flat.split(sizes)
        return [part.view_as(parameter) for part, parameter in zip(parts, self.parameters, strict=True)]

    def gather_gradient(self) -> Tensor:
        """The group's gradient as one vector; a parameter that took no part in the loss counts as zeros."""
        gradients = [
            (zeros if parameter.grad is None else parameter.grad).reshape(-1)
            for parameter, zeros in zip(self.parameters, self._zeros, strict=True)
        ]
        torch.cat(gradients, out=self.gradient)
        return self.gradient

    def apply_change(self) -> None:
        """Subtract `change` from the parameters."""
        torch._foreach_sub_(self._tensors, self._change_views)


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) over groups, with the gradient's norm clipped group by group.

    With g the clipped gradient and t the number of steps:

        m = beta1 m + (1 - beta1) g            v = beta2 v + (1 - beta2) g^2
        parameter -= learning_rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    Args:
        groups: The parameters.
        betas: Decay rates of the two moments, each in [0, 1).
        eps: Added to the denominator.
    """

    def __init__(
        self, groups: Iterable[AdamGroup], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.groups = list(groups)
        self.betas = betas
        self.eps = eps

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter from its gradient."""
        beta1, beta2 = self.betas
        for group in self.groups:
            gradient = group.gather_gradient()
            if group.max_grad_norm is not None:
                norm = torch.linalg.vector_norm(gradient)
                gradient.mul_((group.max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
            group.steps.add_(1.0)
            group.mean.lerp_(gradient, 1.0 - beta1)
            group.mean_square.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
            step_size = group.learning_rate / (1.0 - beta1**group.steps)
            denominator_scale = (1.0 - beta2**group.steps).rsqrt_()
            torch.sqrt(group.mean_square, out=group.change)
            group.change.mul_(denominator_scale).add_(self.eps)
            torch.div(group.mean, group.change, out=group.change)
            group.change.mul_(step_size)
            group.apply_change()

    def state_dict(self) -> dict[str, Any]:
        """The moments of all groups, in their order; learning rates belong to whoever made the groups."""
        return {
            "groups": [
                {
                    "steps": group.steps.clone(),
                    "mean": group.mean.clone(),
                    "mean_square": group.mean_square.clone(),
                }
                for group in self.groups
            ]
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`; the sizes of the groups must fit, as they do when the modules fitted."""
        for group, saved in zip(self.groups, state["groups"], strict=True):
            group.steps.copy_(saved["steps"])
            group.mean.copy_(saved["mean"])
            group.mean_square.copy_(saved["mean_square"])
