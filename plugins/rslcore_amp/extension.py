"""Adversarial motion priors.

Legend: N envs, B transitions of a minibatch, D features of an observation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from rslcore import Batch, Bindings, Extension, Transition
from rslcore.context import Context
from rslcore.distributed import num_ranks, rank, sum_over_ranks
from rslcore.errors import ExtensionError
from rslcore.metrics import Means
from rslcore.observations import concatenate, vector_size
from rslcore.protocols import Storage
from rslcore_amp.config import AmpConfig
from rslcore_amp.discriminator import Discriminator, accuracy, gradient_penalty, least_squares_loss, style_reward
from rslcore_amp.motions import load_pairs
from rslcore_amp.replay import ReplayBuffer


class Amp(Extension):
    """Rewards transitions that a discriminator takes for those of reference motions.

    Peng et al. 2021, AMP: Adversarial Motion Priors for Stylized Physics-Based Character Control.

    A transition is the pair of features before and after a step. Steps whose two observations are not of one episode
    (`Transition.linked`) are neither learned from nor rewarded.

    Args:
        config: The options.
        context: Gives the observation groups and the device.

    Raises:
        ConfigError: The env does not have the groups, or not as 1-D ones; the file of motions is not as it should be.
    """

    config: AmpConfig

    def __init__(self, config: AmpConfig, context: Context) -> None:
        super().__init__(config, context)
        num_features = vector_size(context, config.groups)
        self.discriminator = Discriminator(num_features, config.hidden_dims, config.activation).to(context.device)
        self.replay = ReplayBuffer(config.replay_size, num_features, context.device)
        self._steps: list[tuple[Tensor, Tensor, Tensor]] = []  # pairs, whether linked, style rewards
        self._means = Means()
        if context.env is not None:  # a policy that is loaded for acting needs no motions
            sizes = {group: vector_size(context, [group]) for group in config.groups}
            self.reference = load_pairs(config.motions, sizes, context).to(context.device)
            # Ranks have the same motions: each counts a part of them.
            self.discriminator.normalizer.update(self.reference[rank() :: num_ranks(), 0])

    def bind(self, bindings: Bindings) -> None:
        """The algorithm's optimizer trains the discriminator, at a learning rate of its own."""
        self._name = bindings.name
        self._section = bindings.name.upper()
        bindings.modules.register(bindings.name, self.discriminator, learning_rate=self.config.learning_rate)

    @torch.no_grad()
    def shape_reward(self, transition: Transition, rewards: Tensor) -> Tensor:
        """`w_G * rewards + w_S * style` (Peng et al. 2021, equation 4)."""
        groups = self.config.groups
        pairs = torch.stack([concatenate(transition.obs, groups), concatenate(transition.next_obs, groups)], dim=1)
        outputs = self.discriminator(self.discriminator.normalizer(pairs))
        style = style_reward(outputs) * transition.linked
        self._steps.append((pairs, transition.linked, style))
        transition.add_to_episode(f"{self._name}_style_return", style)
        return self.config.task_reward_weight * rewards + self.config.style_reward_weight * style

    def after_rollout(self, storage: Storage) -> None:
        """Put the rollout's transitions in the replay buffer."""
        pairs, linked, style = (torch.cat(parts) for parts in zip(*self._steps, strict=True))
        self._steps.clear()
        self._rollout = pairs[linked]  # a host read, the only one of an iteration
        self.replay.add(self._rollout)
        total, num_linked = sum_over_ranks(torch.stack([style.sum(), linked.sum().float()]))
        self._means.add({f"{self._section}/style_reward": total / num_linked.clamp(min=1.0)})
        if not len(self.replay):
            raise ExtensionError(
                f"'{self._name}' has seen no step whose two observations are of one episode, "
                "nothing to compare with the reference"
            )

    def samplers(self, num_updates: int, batch_size: int) -> Mapping[str, Iterator[dict[str, Tensor]]]:
        """For each minibatch as many transitions of the policy's past, and of the reference."""
        return {self._name: self._draw(batch_size)}

    def losses(self, batch: Batch, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """The discriminator's: least squares, gradient penalty, and the squares of its weights."""
        config, discriminator = self.config, self.discriminator
        samples = {name: discriminator.normalizer(pairs) for name, pairs in batch.samples[self._name].items()}
        policy = discriminator(samples["policy"])
        reference = discriminator(samples["reference"].requires_grad_())
        penalty = gradient_penalty(reference, samples["reference"])
        metrics = {
            "policy_output": policy.mean(),
            "reference_output": reference.mean(),
            "gradient_penalty": penalty,
            "accuracy": accuracy(policy, reference),
        }
        self._means.add({f"{self._section}/{name}": value for name, value in metrics.items()})
        squares = torch.stack([weight.square().sum() for weight in discriminator.layer_weights()])
        return {
            "amp": (least_squares_loss(policy, reference), 1.0),
            "amp_gradient_penalty": (penalty, 0.5 * config.gradient_penalty_coef),
            "amp_logit_regularization": (squares[-1], config.logit_regularization_coef),
            "amp_weight_decay": (squares.sum(), config.weight_decay_coef),
        }

    def after_update(self, storage: Storage) -> None:
        """Merge the rollout, and as many reference frames, into the statistics, which stood still since it began."""
        reference = self._draw_reference(len(self._rollout))
        self.discriminator.normalizer.update(torch.cat([self._rollout[:, 0], reference[:, 0]]))

    def metrics(self) -> Mapping[str, Tensor]:
        """Means of the iteration: the style reward over env steps, the others over minibatches."""
        return self._means.collect()

    def local_state_dict(self) -> dict[str, Any]:
        """The replay buffer; the discriminator is a registered module."""
        return {"replay": self.replay.state_dict()}

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`."""
        self.replay.load_state_dict(state["replay"])

    def _draw(self, num_rows: int) -> Iterator[dict[str, Tensor]]:
        while True:
            yield {"policy": self.replay.sample(num_rows), "reference": self._draw_reference(num_rows)}

    def _draw_reference(self, num_rows: int) -> Tensor:
        return self.reference[torch.randint(len(self.reference), (num_rows,), device=self.reference.device)]
