"""Independent normal distributions.

Legend: B rows, A actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.specs import TensorSpec
from rslcore_distributions.config import GaussianConfig

MIN_STD = 1e-6
"""Floor of the standard deviation; an optimizer step may take the parameter of `std_type: scalar` below zero."""


class Gaussian(nn.Module):
    """Normal distributions with a mean from the network and a standard deviation that is a parameter.

    Args:
        config: The options.
        context: Gives the action spec and the device.

    Raises:
        ConfigError: The env takes discrete actions.
    """

    def __init__(self, config: GaussianConfig, context: Context) -> None:
        super().__init__()
        actions = context.env_spec.actions
        if actions.is_discrete:
            raise context.error("name", f"'gaussian' is for continuous actions; the env takes {actions}")
        self._num_actions = actions.num_actions
        self._is_log = config.std_type == "log"
        initial = math.log(config.init_std) if self._is_log else config.init_std
        self.std_parameter = nn.Parameter(torch.full((actions.num_actions,), initial, device=context.device))

    @property
    def num_inputs(self) -> int:
        """One mean an action."""
        return self._num_actions

    def param_specs(self) -> Mapping[str, TensorSpec]:
        """`mean` and `std`, both `[A]`."""
        return {"mean": TensorSpec((self._num_actions,)), "std": TensorSpec((self._num_actions,))}

    def action_spec(self) -> TensorSpec:
        """`[A]`, float32."""
        return TensorSpec((self._num_actions,))

    def params(self, outputs: Tensor) -> Mapping[str, Tensor]:
        """Means `[B, A]` and standard deviations, the same in every row."""
        std: Tensor = self.std_parameter
        # Below the floor the value is the floor's and the gradient the parameter's, so that it can come up again.
        std = std.exp() if self._is_log else std + (std.clamp(min=MIN_STD) - std).detach()
        return {"mean": outputs, "std": std.expand_as(outputs)}

    def sample(self, params: Mapping[str, Tensor]) -> Tensor:
        """`mean + std * noise`, `[B, A]`."""
        return torch.addcmul(params["mean"], params["std"], torch.randn_like(params["mean"]))

    def mode(self, params: Mapping[str, Tensor]) -> Tensor:
        """The mean, `[B, A]`."""
        return params["mean"]

    def log_prob(self, params: Mapping[str, Tensor], actions: Tensor) -> Tensor:
        """`-sum((a - mean)^2 / (2 std^2) + log std + log(2 pi) / 2)`, `[B]`."""
        std = params["std"]
        deviation = (actions - params["mean"]) / std
        constant = 0.5 * self._num_actions * math.log(2.0 * math.pi)
        return -(0.5 * deviation.square() + std.log()).sum(-1) - constant

    def entropy(self, params: Mapping[str, Tensor]) -> Tensor:
        """`sum(log std + log(2 pi e) / 2)`, `[B]`."""
        return params["std"].log().sum(-1) + 0.5 * self._num_actions * math.log(2.0 * math.pi * math.e)

    def kl_divergence(self, old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> Tensor:
        """`sum(log(std_new / std_old) + (std_old^2 + (mean_old - mean_new)^2) / (2 std_new^2) - 1/2)`, `[B]`."""
        scatter = old["std"].square() + (old["mean"] - new["mean"]).square()
        return ((new["std"] / old["std"]).log() + scatter / (2.0 * new["std"].square()) - 0.5).sum(-1)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean standard deviation."""
        return {"mean_std": params["std"].mean()}
