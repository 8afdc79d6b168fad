"""Several choices, each out of a number of its own.

Legend: B rows, A actions, K[a] choices of action a, S = sum of all K[a], M = the largest K[a].

Parameters lie one action after the other, `[B, S]`, so that sums over choices and actions are plain sums. Only what
compares the choices of one action with one another is done on `[B, A, M]`, filled up with -inf.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.specs import TensorSpec
from rslcore_distributions.actions import discrete_actions
from rslcore_distributions.config import MultiCategoricalConfig


class MultiCategorical(nn.Module):
    """Independent distributions over K[a] choices, given by log-probabilities.

    Args:
        config: Has no options.
        context: Gives the action spec and the device.

    Raises:
        ConfigError: The env takes continuous actions.
    """

    first: Tensor
    to_filled: Tensor
    to_flat: Tensor

    def __init__(self, config: MultiCategoricalConfig, context: Context) -> None:
        super().__init__()
        counts = discrete_actions("multi_categorical", context, single=False).num_choices
        self._num_actions = len(counts)
        self._num_choices = sum(counts)
        first = list(itertools.accumulate(counts[:-1], initial=0))
        # Where each place of [A, M] comes from in [S]; what is filled up comes from one column more, number S.
        places = [(action, choice) for action in range(len(counts)) for choice in range(max(counts))]
        is_choice = [choice < counts[action] for action, choice in places]
        to_filled = [
            first[action] + choice if real else self._num_choices
            for (action, choice), real in zip(places, is_choice, strict=True)
        ]
        to_flat = [place for place, real in enumerate(is_choice) if real]
        for name, index in {"first": first, "to_filled": to_filled, "to_flat": to_flat}.items():
            self.register_buffer(name, torch.tensor(index, device=context.device), persistent=False)

    @property
    def num_inputs(self) -> int:
        """One logit a choice of each action."""
        return self._num_choices

    def param_specs(self) -> Mapping[str, TensorSpec]:
        """`log_probs`, `[S]`."""
        return {"log_probs": TensorSpec((self._num_choices,))}

    def action_spec(self) -> TensorSpec:
        """`[A]`, int64: the numbers of the choices."""
        return TensorSpec((self._num_actions,), "int64")

    def initialize_outputs(self, layer: nn.Linear) -> None:
        """The network's own initial weights will do."""

    def params(self, outputs: Tensor) -> Mapping[str, Tensor]:
        """Log-probabilities `[B, S]` of logits `[B, S]`, normalized over the choices of each action."""
        log_probs = torch.log_softmax(self._by_action(outputs), dim=-1).flatten(-2)
        return {"log_probs": log_probs.index_select(-1, self.to_flat)}

    def sample(self, params: Mapping[str, Tensor]) -> Tensor:
        """A choice for each action, `[B, A]`, drawn as in `Categorical`, without reading anything on the host."""
        clocks = torch.empty_like(params["log_probs"]).exponential_().log_()
        return self._by_action(params["log_probs"] - clocks).argmax(-1)

    def deterministic(self, params: Mapping[str, Tensor]) -> Tensor:
        """The likeliest choice for each action, `[B, A]`."""
        return self._by_action(params["log_probs"]).argmax(-1)

    def log_prob(self, params: Mapping[str, Tensor], actions: Tensor) -> Tensor:
        """Log-probability of the choices `[B, A]`, summed over the actions: `[B]`."""
        return params["log_probs"].gather(-1, actions + self.first).sum(-1)

    def entropy(self, params: Mapping[str, Tensor]) -> Tensor:
        """`-sum(p log p)` over the choices of all actions, `[B]`."""
        return -(params["log_probs"].exp() * params["log_probs"]).sum(-1)

    def kl_divergence(self, old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> Tensor:
        """`sum(p_old (log p_old - log p_new))` over the choices of all actions, `[B]`."""
        return (old["log_probs"].exp() * (old["log_probs"] - new["log_probs"])).sum(-1)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Nothing that the entropy does not say."""
        return {}

    def _by_action(self, flat: Tensor) -> Tensor:
        """`[B, S]` as `[B, A, M]`, with -inf where an action has fewer choices."""
        filled = nn.functional.pad(flat, (0, 1), value=-math.inf)
        by_action: Tensor = filled.index_select(-1, self.to_filled).unflatten(-1, (self._num_actions, -1))
        return by_action
