"""Independent beta distributions, each stretched to the range of its action.

Legend: B rows, A actions; x in [0, 1] is an action before it is stretched: a = low + (high - low) x.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.specs import ActionSpec, TensorSpec
from rslcore_distributions.actions import continuous_actions
from rslcore_distributions.config import BetaConfig

EDGE = 1e-6
"""Log-probabilities are taken at least this far from 0 and 1, where the density may be 0."""


class Beta(nn.Module):
    """Beta distributions with alpha and beta from the network, both above 1: one peak, and none at the edges.

    Args:
        config: The options.
        context: Gives the action spec and the device.

    Raises:
        ConfigError: The env takes discrete actions, or does not bound them and no range is given.
    """

    low: Tensor
    scale: Tensor

    def __init__(self, config: BetaConfig, context: Context) -> None:
        super().__init__()
        actions = continuous_actions("beta", context)
        self._num_actions = actions.num_actions
        bounds = [config.range] * actions.num_actions if config.range is not None else _bounds(actions, context)
        low = torch.tensor([low for low, _ in bounds], device=context.device)
        scale = torch.tensor([high - low for low, high in bounds], device=context.device)
        # Not in checkpoints: they follow from the config and the env's spec, which are.
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self._log_scale = sum(math.log(high - low) for low, high in bounds)

    @property
    def num_inputs(self) -> int:
        """One output for alpha and one for beta an action."""
        return 2 * self._num_actions

    def param_specs(self) -> Mapping[str, TensorSpec]:
        """`alpha` and `beta`, both `[A]`."""
        return {"alpha": TensorSpec((self._num_actions,)), "beta": TensorSpec((self._num_actions,))}

    def action_spec(self) -> TensorSpec:
        """`[A]`, float32."""
        return TensorSpec((self._num_actions,))

    @torch.no_grad()
    def initialize_outputs(self, layer: nn.Linear) -> None:
        """Make beta `1 + log 2` in every state, to begin with; alpha, from small outputs, is about the same."""
        layer.weight[self._num_actions :].zero_()
        layer.bias[self._num_actions :].zero_()

    def params(self, outputs: Tensor) -> Mapping[str, Tensor]:
        """`alpha` and `beta`, both `[B, A]`: `1 + softplus` of the first and of the second half of `[B, 2 A]`."""
        # The halves one by one: across both, a CPU may round an element otherwise for its place in the batch, and the
        # divergence of a policy from itself would not be 0.
        alpha, beta = (1.0 + nn.functional.softplus(part) for part in outputs.split(self._num_actions, dim=-1))
        return {"alpha": alpha, "beta": beta}

    def sample(self, params: Mapping[str, Tensor]) -> Tensor:
        """Random actions in their ranges, `[B, A]`."""
        # Checking the arguments would read them on the host.
        drawn = torch.distributions.Beta(params["alpha"], params["beta"], validate_args=False).sample()
        return self._stretch(drawn)

    def deterministic(self, params: Mapping[str, Tensor]) -> Tensor:
        """The mean `low + (high - low) alpha / (alpha + beta)`, `[B, A]`."""
        return self._stretch(params["alpha"] / (params["alpha"] + params["beta"]))

    def log_prob(self, params: Mapping[str, Tensor], actions: Tensor) -> Tensor:
        """`sum((alpha - 1) log x + (beta - 1) log(1 - x) - log B(alpha, beta) - log(high - low))`, `[B]`.

        B is the beta function; x is kept in `[1e-6, 1 - 1e-6]`.
        """
        alpha, beta = params["alpha"], params["beta"]
        x = ((actions - self.low) / self.scale).clamp(EDGE, 1.0 - EDGE)
        log_density = (alpha - 1.0) * x.log() + (beta - 1.0) * torch.log1p(-x) - _log_beta(alpha, beta)
        return log_density.sum(-1) - self._log_scale

    def entropy(self, params: Mapping[str, Tensor]) -> Tensor:
        """Entropy of the stretched actions, `[B]`.

        `sum(log B(alpha, beta) - (alpha - 1) psi(alpha) - (beta - 1) psi(beta) + (alpha + beta - 2) psi(alpha + beta)
        + log(high - low))` with the beta function B and the digamma function psi. rsl_rl leaves the last term out and
        so has the entropy of x. The term is constant: gradients agree.
        """
        alpha, beta = params["alpha"], params["beta"]
        total = alpha + beta
        entropy = _log_beta(alpha, beta) + (total - 2.0) * total.digamma()
        entropy = entropy - (alpha - 1.0) * alpha.digamma() - (beta - 1.0) * beta.digamma()
        return entropy.sum(-1) + self._log_scale

    def kl_divergence(self, old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> Tensor:
        """KL(old || new), `[B]`; stretching does not change it.

        `sum(log B_new - log B_old + (alpha_old - alpha_new) psi(alpha_old) + (beta_old - beta_new) psi(beta_old)
        - (alpha_old + beta_old - alpha_new - beta_new) psi(alpha_old + beta_old))`.
        """
        alpha, beta, new_alpha, new_beta = old["alpha"], old["beta"], new["alpha"], new["beta"]
        total, new_total = alpha + beta, new_alpha + new_beta
        # In this order, which is also torch's, equal parameters have the divergence 0 and not that of rounding.
        divergence = (new_alpha.lgamma() + new_beta.lgamma() + total.lgamma()) - (
            alpha.lgamma() + beta.lgamma() + new_total.lgamma()
        )
        divergence = divergence + (alpha - new_alpha) * alpha.digamma() + (beta - new_beta) * beta.digamma()
        return (divergence + (new_total - total) * total.digamma()).sum(-1)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean standard deviation, and that of the action with the smallest.

        It is `(high - low) sqrt(alpha beta / (alpha + beta + 1)) / (alpha + beta)`.
        """
        alpha, beta = params["alpha"], params["beta"]
        total = alpha + beta
        stds = (self.scale * (alpha * beta / (total + 1.0)).sqrt() / total).mean(0)
        return {"mean_std": stds.mean(), "min_std": stds.amin()}

    def _stretch(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.low, self.scale, x)


def _log_beta(alpha: Tensor, beta: Tensor) -> Tensor:
    return alpha.lgamma() + beta.lgamma() - (alpha + beta).lgamma()


def _bounds(actions: ActionSpec, context: Context) -> list[tuple[float, float]]:
    """The env's own bounds of each action.

    Raises:
        ConfigError: Those of an action are not finite, or leave nothing between them.
    """
    unbounded = [(-math.inf, math.inf)] * actions.num_actions
    bounds = list(zip(actions.low, actions.high, strict=True)) or unbounded
    # Some envs say "unbounded" by the largest numbers there are; their difference is infinite in float32.
    largest = torch.finfo(torch.float32).max
    unfit = [index for index, (low, high) in enumerate(bounds) if not 0.0 < high - low <= largest]
    if unfit:
        low, high = bounds[unfit[0]]
        raise context.error(
            "range",
            "'beta' needs a lower and an upper bound of each action; the env has none for those with the index "
            f"{', '.join(map(str, unfit))} (index {unfit[0]} is in [{low}, {high}]); give `range`, such as "
            "[-1.0, 1.0], or use 'gaussian'",
        )
    return bounds
