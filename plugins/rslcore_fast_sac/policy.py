"""Actor, critics and target critics of soft actor-critic.

Legend: B rows, A actions, E critics, D features.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.normalization import EmpiricalNormalization
from rslcore.observations import concatenate, vector_size
from rslcore.recurrence import State, state_specs
from rslcore.specs import TensorSpec
from rslcore_fast_sac.config import SoftActorCriticConfig
from rslcore_fast_sac.critics import CriticEnsemble
from rslcore_fast_sac.squashed_gaussian import metrics, sample, split_outputs


class SoftActorCritic(nn.Module):
    """An actor with a tanh-Gaussian distribution, and an ensemble of critics with its slow copy, the targets.

    Actions are in the env's own bounds; where it has none, in [-1, 1]. Log-densities are those of actions in [-1, 1].

    Args:
        config: The options.
        context: Builds the actor's network; gives observation groups and actions.

    Raises:
        ConfigError: The env takes discrete actions, or the actor's network is recurrent.
    """

    low: Tensor
    half_range: Tensor

    def __init__(self, config: SoftActorCriticConfig, context: Context) -> None:
        super().__init__()
        actions = context.env_spec.actions
        if actions.is_discrete:
            raise context.error(
                "name",
                f"'soft_actor_critic' is for continuous actions; the env takes {actions}; use 'actor_critic' and ppo",
            )
        self.actor = context.build(config.actor.network, "actor.network", num_outputs=2 * actions.num_actions)
        if state_specs(self.actor):
            raise context.error(
                "actor.network.name",
                f"'{config.actor.network.name}' is recurrent; a replay hands out no sequences; use 'mlp' or 'cnn'",
            )
        critic = config.critic
        self.groups = critic.groups
        num_features = vector_size(context, critic.groups, "critic.groups")
        self.normalizer = EmpiricalNormalization(num_features) if critic.normalize else None
        self.critics = CriticEnsemble(
            critic.num_critics,
            num_features + actions.num_actions,
            critic.hidden_dims,
            critic.activation,
            critic.layer_norm,
        )
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)
        unbounded = (math.inf,) * actions.num_actions  # what an env means that says nothing
        low, high = (torch.tensor(bounds or unbounded) for bounds in (actions.low, actions.high))
        bounded = torch.isfinite(low) & torch.isfinite(high)
        self.register_buffer("low", torch.where(bounded, low, -1.0), persistent=False)
        self.register_buffer("half_range", torch.where(bounded, (high - low) / 2.0, 1.0), persistent=False)
        self.to(context.device)

    def state_specs(self) -> Mapping[str, Mapping[str, TensorSpec]]:
        """Nothing is remembered."""
        return {"actor": {}}

    def act_inference(self, obs: TensorDict, states: Mapping[str, State]) -> tuple[Tensor, Mapping[str, State]]:
        """The best actions `[B, A]`: the distribution's mode before the tanh."""
        mean, _ = split_outputs(self.actor(obs))
        return self.to_env(torch.tanh(mean)), states

    def sample(self, obs: TensorDict) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Random actions in (-1, 1), `[B, A]`, for observations `[B, ...]`, and their log-densities `[B]`.

        With them scalars worth watching of the distribution, as `Distribution.metrics` gives them.
        """
        mean, log_std = split_outputs(self.actor(obs).float())
        return *sample(mean, log_std), metrics(log_std)

    def random_actions(self, num_rows: int) -> Tensor:
        """Actions `[B, A]`, uniform in [-1, 1]."""
        return 2.0 * torch.rand(num_rows, len(self.low), device=self.low.device) - 1.0

    def to_env(self, actions: Tensor) -> Tensor:
        """Actions in [-1, 1] as the env takes them."""
        return self.low + self.half_range * (actions + 1.0)

    def features(self, obs: TensorDict) -> Tensor:
        """What the critics see of observations, `[B, D]`."""
        rows = concatenate(obs, self.groups)
        return rows if self.normalizer is None else self.normalizer(rows)

    def q_values(self, features: Tensor, actions: Tensor, *, frozen: bool = False) -> Tensor:
        """Values `[E, B]` of actions in [-1, 1], `[B, A]`; the critics learn nothing from `frozen` ones."""
        values: Tensor = self.critics(torch.cat((features, actions), -1), frozen)
        return values.float()

    def target_values(self, features: Tensor, actions: Tensor) -> Tensor:
        """The same by the target critics."""
        values: Tensor = self.targets(torch.cat((features, actions), -1))
        return values.float()

    @torch.no_grad()
    def update_targets(self, rate: float) -> None:
        """Move the target critics towards the critics: `target += rate * (critic - target)`."""
        torch._foreach_lerp_(list(self.targets.parameters()), list(self.critics.parameters()), rate)

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """The parameters of actor and critics."""
        return {"actor": list(self.actor.parameters()), "critic": list(self.critics.parameters())}

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics of actor and critics."""
        self.actor.update_normalization(obs)
        if self.normalizer is not None:
            self.normalizer.update(concatenate(obs, self.groups))
