"""What PPO minimizes, as a function of a minibatch and the policy's parameters.

It changes nothing, so that it can be compiled as a whole.

Legend: B rows of a minibatch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rslcore.batch import Batch
from rslcore.device import autocast
from rslcore.heads import LatentTap
from rslcore.protocols import ActorCriticPolicy
from rslcore_ppo.config import PpoConfig
from rslcore_ppo.losses import clipped_surrogate_loss, clipped_value_loss, estimated_kl, value_loss


class Objective:
    """The loss of PPO: surrogate, value loss and entropy bonus (Schulman et al. 2017, equation 9, negated).

    Args:
        config: The options.
        policy: Whose parameters the loss is a function of.
        device: Of the policy.
        gives_outputs: Whether anyone looks at what is computed on the way.
    """

    def __init__(self, config: PpoConfig, policy: ActorCriticPolicy, device: torch.device, gives_outputs: bool) -> None:
        self.config = config
        self.policy = policy
        self._device = device
        self._gives_outputs = gives_outputs
        self._latent = LatentTap()
        if gives_outputs:
            self._latent.watch(policy, "actor")

    def __call__(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        """The loss, a scalar; what is logged, scalars by name; and what extensions may see."""
        config, distribution = self.config, self.policy.distribution
        advantages = batch["advantages"]

        with autocast(self._device, config.precision):
            params, _ = self.policy.actor_params(batch.obs, batch.states.get("actor", {}), batch.sequences)
            latent = self._latent.take()
            values, _ = self.policy.values(batch.obs, batch.states.get("critic", {}), batch.sequences)
        params = {name: param.to(batch[f"params/{name}"].dtype) for name, param in params.items()}
        values = values.to(batch["values"].dtype)
        log_prob = distribution.log_prob(params, batch["actions"])
        log_ratio = log_prob - batch["log_prob"]
        ratio = torch.exp(log_ratio)
        # Rows that extensions have added are no sample of what the policy does.
        original = {name: param[: batch.num_original] for name, param in params.items()}
        entropy = distribution.entropy(original).mean()

        surrogate = clipped_surrogate_loss(ratio, advantages, config.clip_param)
        if config.use_clipped_value_loss:
            value = clipped_value_loss(values, batch["values"], batch["returns"], config.clip_param)
        else:
            value = value_loss(values, batch["returns"])
        loss = surrogate + config.value_loss_coef * value - config.entropy_coef * entropy

        with torch.no_grad():
            old = {name: batch[f"params/{name}"][: batch.num_original] for name in params}
            divergence = distribution.kl_divergence(old, original)
            kl = (estimated_kl(log_ratio[: batch.num_original]) if divergence is None else divergence).mean()
        means = {"Loss/surrogate": surrogate, "Loss/value": value, "Loss/entropy": entropy, "Policy/kl": kl}
        outputs = {"params": params, "values": values, "log_prob": log_prob, "ratio": ratio, **latent}
        # The loss alone is gone down: going back from others would be compiled too.
        logged = {name: mean.detach() for name, mean in means.items()}
        return loss, logged, outputs if self._gives_outputs else {}
