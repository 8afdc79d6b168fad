"""Independent normal distributions, once mean and standard deviation are known: what the Gaussians share.

Legend: B rows, A actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rslcore.specs import TensorSpec


class DiagonalNormal(nn.Module):
    """Everything about A independent normal distributions but where mean and standard deviation come from.

    Args:
        num_actions: A.
        std_type: Whether `bounded_std` is given standard deviations (`scalar`) or their logarithms (`log`).
        std_range: Smallest and largest standard deviation.
    """

    def __init__(self, num_actions: int, std_type: str, std_range: tuple[float, float]) -> None:
        super().__init__()
        self._num_actions = num_actions
        self._is_log = std_type == "log"
        low, high = std_range
        self._bounds = (math.log(low), math.log(high)) if self._is_log else (low, high)

    def bounded_std(self, raw: Tensor) -> Tensor:
        """Standard deviations in `std_range`, of any shape, from what is learned: themselves or their logarithms.

        `std = clamp(raw, low, high)`, or `exp(clamp(raw, log low, log high))`. Outside of the range the value is the
        bound's and the gradient that of no clamp at all, so that it can come back in. rsl_rl's clamp has gradient 0
        there: what has once left the range stays outside.
        """
        # The bracket is 0 and has the gradient. Adding `clamped - raw` to raw instead would round a small bound away.
        bounded = raw.clamp(*self._bounds).detach() + (raw - raw.detach())
        return bounded.exp() if self._is_log else bounded

    def encode_std(self, std: float) -> float:
        """What `bounded_std` makes this standard deviation of."""
        return math.log(std) if self._is_log else std

    def param_specs(self) -> Mapping[str, TensorSpec]:
        """`mean` and `std`, both `[A]`."""
        return {"mean": TensorSpec((self._num_actions,)), "std": TensorSpec((self._num_actions,))}

    def action_spec(self) -> TensorSpec:
        """`[A]`, float32."""
        return TensorSpec((self._num_actions,))

    def sample(self, params: Mapping[str, Tensor]) -> Tensor:
        """`mean + std * noise`, `[B, A]`."""
        return torch.addcmul(params["mean"], params["std"], torch.randn_like(params["mean"]))

    def deterministic(self, params: Mapping[str, Tensor]) -> Tensor:
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
        """`sum((v + ((mean_old - mean_new) / std_new)^2 - 1 - log v) / 2)` with `v = (std_old / std_new)^2`, `[B]`.

        In this order, which is also torch's, `v - 1` is exact near 1 and small divergences are not lost in rounding.
        """
        ratio = (old["std"] / new["std"]).square()
        distance = ((old["mean"] - new["mean"]) / new["std"]).square()
        return (0.5 * (ratio + distance - 1.0 - ratio.log())).sum(-1)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean standard deviation, and that of the action with the smallest."""
        stds = params["std"].mean(0)
        return {"mean_std": stds.mean(), "min_std": stds.amin()}
