"""One choice out of several.

Legend: B rows, K choices.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.specs import TensorSpec
from rslcore_distributions.actions import discrete_actions
from rslcore_distributions.config import CategoricalConfig


class Categorical(nn.Module):
    """A distribution over K choices, given by log-probabilities.

    Args:
        config: Has no options.
        context: Gives the action spec.

    Raises:
        ConfigError: The env does not take exactly one discrete action.
    """

    def __init__(self, config: CategoricalConfig, context: Context) -> None:
        super().__init__()
        (self._num_choices,) = discrete_actions("categorical", context, single=True).num_choices

    @property
    def num_inputs(self) -> int:
        """One logit a choice."""
        return self._num_choices

    def param_specs(self) -> Mapping[str, TensorSpec]:
        """`log_probs`, `[K]`."""
        return {"log_probs": TensorSpec((self._num_choices,))}

    def action_spec(self) -> TensorSpec:
        """`[1]`, int64: the number of the choice."""
        return TensorSpec((1,), "int64")

    def initialize_outputs(self, layer: nn.Linear) -> None:
        """The network's own initial weights will do."""

    def params(self, outputs: Tensor) -> Mapping[str, Tensor]:
        """Log-probabilities `[B, K]` of logits `[B, K]`."""
        return {"log_probs": torch.log_softmax(outputs, dim=-1)}

    def sample(self, params: Mapping[str, Tensor]) -> Tensor:
        """A choice a row, `[B, 1]`.

        The choice whose exponential clock with rate p rings first has probability p; unlike `torch.multinomial` this
        reads nothing on the host.
        """
        clocks = torch.empty_like(params["log_probs"]).exponential_().log_()
        return (params["log_probs"] - clocks).argmax(-1, keepdim=True)

    def deterministic(self, params: Mapping[str, Tensor]) -> Tensor:
        """The likeliest choice, `[B, 1]`."""
        return params["log_probs"].argmax(-1, keepdim=True)

    def log_prob(self, params: Mapping[str, Tensor], actions: Tensor) -> Tensor:
        """Log-probability of the choices `[B, 1]`: `[B]`."""
        return params["log_probs"].gather(-1, actions).squeeze(-1)

    def entropy(self, params: Mapping[str, Tensor]) -> Tensor:
        """`-sum(p log p)`, `[B]`."""
        return -(params["log_probs"].exp() * params["log_probs"]).sum(-1)

    def kl_divergence(self, old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> Tensor:
        """`sum(p_old (log p_old - log p_new))`, `[B]`."""
        return (old["log_probs"].exp() * (old["log_probs"] - new["log_probs"])).sum(-1)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Nothing that the entropy does not say."""
        return {}
