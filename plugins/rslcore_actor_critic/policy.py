"""Actor and critic.

Legend: B rows, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.protocols import Distribution
from rslcore_actor_critic.config import ActorCriticConfig


class ActorCritic(nn.Module):
    """A stochastic actor and a critic, composed of networks and a distribution by name.

    Args:
        config: The options.
        context: Builds the networks and the distribution.
    """

    def __init__(self, config: ActorCriticConfig, context: Context) -> None:
        super().__init__()
        self._distribution: Distribution = context.build(config.actor.distribution, "actor.distribution")
        num_inputs = self._distribution.num_inputs
        self.actor = context.build(config.actor.network, "actor.network", num_outputs=num_inputs)
        output_layer = getattr(self.actor, "output_layer", None)
        if output_layer is not None:
            self._distribution.initialize_outputs(output_layer)
        self.critic = context.build(config.critic.network, "critic.network", num_outputs=1)

    @property
    def distribution(self) -> Distribution:
        """What the actor's parameters are parameters of."""
        return self._distribution

    def forward(self, obs: TensorDict) -> tuple[Mapping[str, Tensor], Tensor]:
        """Distribution parameters and values `[B]` of observations `[B, ...]`."""
        return self.actor_params(obs), self.values(obs)

    def actor_params(self, obs: TensorDict) -> Mapping[str, Tensor]:
        """Distribution parameters of observations `[B, ...]`."""
        return self._distribution.params(self.actor(obs))

    def values(self, obs: TensorDict) -> Tensor:
        """Values `[B]` of observations `[B, ...]`."""
        values: Tensor = self.critic(obs).squeeze(-1)
        return values

    def act_inference(self, obs: TensorDict) -> Tensor:
        """The actions to take without exploring, `[B, A]`."""
        return self._distribution.deterministic(self.actor_params(obs))

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """The actor's parameters, the distribution's among them, and the critic's."""
        critic = set(self.critic.parameters())
        return {
            "actor": [parameter for parameter in self.parameters() if parameter not in critic],
            "critic": list(self.critic.parameters()),
        }

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics of both networks."""
        self.actor.update_normalization(obs)
        self.critic.update_normalization(obs)

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget recurrent state for the envs in `dones [N]`, or for all."""
        self.actor.reset(dones)
        self.critic.reset(dones)
