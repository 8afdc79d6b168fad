"""Optimizers that read no tensor on the host.

Those of torch read each parameter's step count, and a learning rate that is a tensor, on the host: `torch.optim.Adam`
on a CPU in every implementation, on CUDA in all but the fused one. Here the step count and the learning rate stay on
the device, so that a learning rate may follow the KL divergence without a synchronisation, and all parameters of a
group are updated as one flat vector, which is also faster for the small networks of robot learning.

With the options that torch has by default, each makes the same steps as the class of its name in `torch.optim`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rslcore.config import OptimizerName
from rslcore.errors import CheckpointError
from rslcore.modules import ModuleTable


class ParameterGroup:
    """Parameters that share a learning rate and a gradient norm.

    Args:
        parameters: The parameters, all on one device, all float32.
        learning_rate: Scalar tensor on that device; may be shared with other groups and changed in place.
        max_grad_norm: The group's gradient is scaled down to this 2-norm; None for no limit.
        name: What the group is called in messages.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: Tensor, max_grad_norm: float | None, name: str = ""
    ) -> None:
        self.name = name
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        self.max_grad_norm = max_grad_norm
        self.size = sum(parameter.numel() for parameter in self.parameters)

    def clip(self, gradient: Tensor) -> Tensor:
        """Scale the group's gradient down, a vector, in place; its 2-norm before that, a scalar tensor."""
        norm: Tensor = torch.linalg.vector_norm(gradient)
        if self.max_grad_norm is not None:
            gradient.mul_((self.max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
        return norm


class Optimizer:
    """What the optimizers have in common: gradients and moments are flat vectors; gradients are clipped by groups.

    Args:
        groups: The parameters, all on one device.

    Attributes:
        steps: Number of steps that were made, a scalar tensor.
        norms: Of the latest gradients of the groups, before they were clipped, scalar tensors.
        skips_bad_steps: Whether a step is left out if a gradient is not finite, which waits for the device to know.
        num_skipped: Steps that were left out; to be set back by whoever asks.
    """

    name: ClassVar[OptimizerName]
    """What it is called in a config."""
    moments: ClassVar[tuple[str, ...]] = ()
    """Names of the vectors that are kept, of as many numbers as there are parameters."""

    def __init__(self, groups: Iterable[ParameterGroup]) -> None:
        self.groups = list(groups)
        self.parameters = [parameter for group in self.groups for parameter in group.parameters]
        self._tensors: list[Tensor] = list(self.parameters)
        self._sizes = [group.size for group in self.groups]
        first = self.parameters[0]
        self._gradient = torch.zeros(sum(self._sizes), device=first.device, dtype=first.dtype)
        self._gradients = self._gradient.split(self._sizes)  # of the groups
        self._change = torch.zeros_like(self._gradient)
        parts = self._change.split([parameter.numel() for parameter in self.parameters])
        self._changes = [part.view_as(like) for part, like in zip(parts, self.parameters, strict=True)]
        self._zeros = [self._gradient.new_zeros(()).expand(change.numel()) for change in self._changes]
        self._moments = {name: torch.zeros_like(self._gradient) for name in type(self).moments}
        # Double precision: in single, 1 - beta2 ** steps is off by 6e-5 at the first step.
        self.steps = torch.zeros((), device=first.device, dtype=torch.float64)
        rates = {id(group.learning_rate): group.learning_rate for group in self.groups}
        self._rate = next(iter(rates.values())) if len(rates) == 1 else None
        self.norms: list[Tensor] = []
        self.skips_bad_steps = False
        self.num_skipped = 0

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter from its gradient; one that took no part in the loss has zeros."""
        gradients = [
            zeros if parameter.grad is None else parameter.grad.reshape(-1)
            for parameter, zeros in zip(self.parameters, self._zeros, strict=True)
        ]
        torch.cat(gradients, out=self._gradient)
        self.norms = [group.clip(gradient) for group, gradient in zip(self.groups, self._gradients, strict=True)]
        if self.skips_bad_steps and not torch.stack(self.norms).isfinite().all():
            self.num_skipped += 1
            return
        self.steps.add_(1.0)
        divisor = self.update(self._gradient, self._change, self._moments)
        if self._rate is not None:
            self._change.mul_(self._rate / divisor)
        else:
            for group, change in zip(self.groups, self._change.split(self._sizes), strict=True):
                change.mul_(group.learning_rate / divisor)
        torch._foreach_sub_(self._tensors, self._changes)

    def update(self, gradient: Tensor, change: Tensor, moments: dict[str, Tensor]) -> Tensor | float:
        """Bring the moments up to date, and fill in what is subtracted for a learning rate of 1, but for a divisor.

        Args:
            gradient: Clipped.
            change: To be filled in.
            moments: By name.

        Returns:
            The divisor.
        """
        raise NotImplementedError

    def moments_by_name(self) -> Iterator[tuple[str, Tensor]]:
        """The moments of all groups, each with what it is called in messages."""
        for group, moments in zip(self.groups, self._moments_of_groups(), strict=True):
            for name, moment in moments.items():
                yield f"{name} of {group.name}", moment

    def state_dict(self) -> dict[str, Any]:
        """The moments of all groups, in their order; learning rates belong to whoever made the groups."""
        return {
            "name": type(self).name,
            "groups": [
                {"steps": self.steps.clone(), **{name: moment.clone() for name, moment in moments.items()}}
                for moments in self._moments_of_groups()
            ],
        }

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError if a state was made with another optimizer, or for other groups."""
        if state["name"] != type(self).name:
            raise CheckpointError(
                f"the checkpoint was made with the optimizer '{state['name']}', this run has '{type(self).name}'; "
                "go on with the same"
            )
        saved = state["groups"]
        theirs = [[len(group[name]) for name in type(self).moments] for group in saved]
        ours = [[len(moment) for moment in moments.values()] for moments in self._moments_of_groups()]
        if theirs != ours:
            raise CheckpointError(
                "the checkpoint was made with the parameters in other groups; let networks share what they shared then"
            )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`; raises CheckpointError as `check_state`."""
        self.check_state(state)
        for moments, saved in zip(self._moments_of_groups(), state["groups"], strict=True):
            self.steps.copy_(saved["steps"])
            for name, moment in moments.items():
                moment.copy_(saved[name])

    def _moments_of_groups(self) -> list[dict[str, Tensor]]:
        """The same, a dict a group."""
        parts = {name: moment.split(self._sizes) for name, moment in self._moments.items()}
        return [{name: part[index] for name, part in parts.items()} for index in range(len(self.groups))]


class Sgd(Optimizer):
    """Gradient descent: `parameter -= learning_rate * g`."""

    name: ClassVar[OptimizerName] = "sgd"

    def update(self, gradient: Tensor, change: Tensor, moments: dict[str, Tensor]) -> float:
        """Fill in the change."""
        change.copy_(gradient)
        return 1.0


class RmsProp(Optimizer):
    """RMSprop (Tieleman and Hinton 2012), with alpha = 0.99 and eps = 1e-8.

    v = alpha v + (1 - alpha) g^2          parameter -= learning_rate * g / (sqrt(v) + eps)
    """

    name: ClassVar[OptimizerName] = "rmsprop"
    moments = ("mean_square",)
    alpha: ClassVar[float] = 0.99
    eps: ClassVar[float] = 1e-8

    def update(self, gradient: Tensor, change: Tensor, moments: dict[str, Tensor]) -> float:
        """Fill in the change."""
        mean_square = moments["mean_square"]
        mean_square.mul_(self.alpha).addcmul_(gradient, gradient, value=1.0 - self.alpha)
        torch.sqrt(mean_square, out=change)
        torch.div(gradient, change.add_(self.eps), out=change)
        return 1.0


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1), with beta1 = 0.9, beta2 = 0.999 and eps = 1e-8.

    With g the clipped gradient and t the number of steps:

        m = beta1 m + (1 - beta1) g            v = beta2 v + (1 - beta2) g^2
        parameter -= learning_rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
    """

    name: ClassVar[OptimizerName] = "adam"
    moments = ("mean", "mean_square")
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    eps: ClassVar[float] = 1e-8

    def update(self, gradient: Tensor, change: Tensor, moments: dict[str, Tensor]) -> Tensor | float:
        """Fill in the change."""
        (beta1, beta2), mean, mean_square = self.betas, moments["mean"], moments["mean_square"]
        mean.lerp_(gradient, 1.0 - beta1)
        mean_square.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
        torch.sqrt(mean_square, out=change)
        change.mul_((1.0 - beta2**self.steps).rsqrt_()).add_(self.eps)
        torch.div(mean, change, out=change)
        return 1.0 - beta1**self.steps


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).

    parameter -= learning_rate * weight_decay * parameter, before Adam's step, where it took part in the loss.
    """

    name: ClassVar[OptimizerName] = "adamw"
    weight_decay: ClassVar[float] = 0.01

    def update(self, gradient: Tensor, change: Tensor, moments: dict[str, Tensor]) -> Tensor | float:
        """Let the parameters decay, then fill in the change."""
        for group in self.groups:
            decaying: list[Tensor] = [parameter for parameter in group.parameters if parameter.grad is not None]
            if decaying:
                torch._foreach_mul_(decaying, 1.0 - group.learning_rate * self.weight_decay)
        return super().update(gradient, change, moments)


OPTIMIZERS: dict[OptimizerName, type[Optimizer]] = {cls.name: cls for cls in (Adam, AdamW, Sgd, RmsProp)}
"""The optimizers by name."""


def make_optimizer(
    name: OptimizerName, modules: ModuleTable, learning_rate: Tensor, max_grad_norm: float | None
) -> Optimizer:
    """An algorithm's optimizer of all registered modules that have none of their own.

    Args:
        name: Which one.
        modules: The modules, with their parameters in groups.
        learning_rate: Scalar tensor, of modules whose learning rate is `adaptive`; others keep their number.
        max_grad_norm: To which the gradient of each group is clipped; None for no limit.
    """
    return OPTIMIZERS[name](
        ParameterGroup(
            parameters,
            learning_rate
            if entry.learning_rate == "adaptive"
            else torch.tensor(entry.learning_rate, device=learning_rate.device),
            max_grad_norm,
            f"module '{name}'" + (f" ('{key}')" if key else ""),
        )
        for name, entry in modules.items()
        if entry.optimizer is None
        for key, parameters in entry.groups.items()
    )
