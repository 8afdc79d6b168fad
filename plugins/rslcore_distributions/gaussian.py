"""Independent normal distributions with the same standard deviation in every state.

Legend: B rows, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rslcore.context import Context
from rslcore_distributions.actions import continuous_actions
from rslcore_distributions.config import GaussianConfig
from rslcore_distributions.normal import DiagonalNormal


class Gaussian(DiagonalNormal):
    """Normal distributions with a mean from the network and a standard deviation that is a parameter.

    Args:
        config: The options.
        context: Gives the action spec and the device.

    Raises:
        ConfigError: The env takes discrete actions.
    """

    def __init__(self, config: GaussianConfig, context: Context) -> None:
        actions = continuous_actions("gaussian", context)
        super().__init__(actions.num_actions, config.std_type, config.std_range)
        initial = torch.full((actions.num_actions,), self.encode_std(config.init_std), device=context.device)
        # Not learned it is a parameter all the same: checkpoints have the same tensors, and it is in them.
        self.std_parameter = nn.Parameter(initial, requires_grad=config.learn_std)

    @property
    def num_inputs(self) -> int:
        """One mean an action."""
        return self._num_actions

    def initialize_outputs(self, layer: nn.Linear) -> None:
        """The network's own initial weights will do."""

    def params(self, outputs: Tensor) -> Mapping[str, Tensor]:
        """Means `[B, A]` and standard deviations, the same in every row."""
        return {"mean": outputs, "std": self.bounded_std(self.std_parameter).expand_as(outputs)}
