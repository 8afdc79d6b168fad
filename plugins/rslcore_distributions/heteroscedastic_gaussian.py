"""Independent normal distributions with a standard deviation that depends on the state.

Legend: B rows, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rslcore.context import Context
from rslcore_distributions.actions import continuous_actions
from rslcore_distributions.config import HeteroscedasticGaussianConfig
from rslcore_distributions.normal import DiagonalNormal


class HeteroscedasticGaussian(DiagonalNormal):
    """Normal distributions with mean and standard deviation from the network.

    Args:
        config: The options.
        context: Gives the action spec.

    Raises:
        ConfigError: The env takes discrete actions.
    """

    def __init__(self, config: HeteroscedasticGaussianConfig, context: Context) -> None:
        actions = continuous_actions("heteroscedastic_gaussian", context)
        super().__init__(actions.num_actions, config.std_type, config.std_range)
        self._init_std = config.init_std

    @property
    def num_inputs(self) -> int:
        """A mean and a standard deviation, or its logarithm, an action."""
        return 2 * self._num_actions

    @torch.no_grad()
    def initialize_outputs(self, layer: nn.Linear) -> None:
        """Make the standard deviation `init_std` in every state, to begin with; the means are left as they are."""
        layer.weight[self._num_actions :].zero_()
        layer.bias[self._num_actions :].fill_(self.encode_std(self._init_std))

    def params(self, outputs: Tensor) -> Mapping[str, Tensor]:
        """Means `[B, A]` and standard deviations `[B, A]`: the first and the second half of `[B, 2 A]`."""
        mean, raw = outputs.split(self._num_actions, dim=-1)
        return {"mean": mean, "std": self.bounded_std(raw)}
