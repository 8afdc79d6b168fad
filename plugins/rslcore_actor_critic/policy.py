"""Actor and critic.

Legend: B rows, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.errors import listed
from rslcore.heads import build_stochastic_network
from rslcore.protocols import Distribution
from rslcore.recurrence import Sequences, State, run_network, state_specs
from rslcore.specs import TensorSpec
from rslcore_actor_critic.config import ActorCriticConfig


class ActorCritic(nn.Module):
    """A stochastic actor and a critic, composed of networks and a distribution by name.

    Args:
        config: The options.
        context: Builds the networks and the distribution.
    """

    def __init__(self, config: ActorCriticConfig, context: Context) -> None:
        super().__init__()
        actor = config.actor
        self.actor, self._distribution = build_stochastic_network(context, actor.network, actor.distribution, "actor")
        self.critic = context.build(config.critic.network, "critic.network", num_outputs=1)
        if config.share_encoders:
            share_encoders(self.actor, self.critic, context)

    @property
    def distribution(self) -> Distribution:
        """What the actor's parameters are parameters of."""
        return self._distribution

    def state_specs(self) -> Mapping[str, Mapping[str, TensorSpec]]:
        """What `actor` and `critic` remember."""
        return {"actor": state_specs(self.actor), "critic": state_specs(self.critic)}

    def actor_params(
        self, obs: TensorDict, state: State, sequences: Sequences | None = None
    ) -> tuple[Mapping[str, Tensor], State]:
        """Distribution parameters of observations `[B, ...]`, and the actor's state after them."""
        outputs, state = run_network(self.actor, obs, state, sequences)
        return self._distribution.params(outputs), state

    def values(self, obs: TensorDict, state: State, sequences: Sequences | None = None) -> tuple[Tensor, State]:
        """Values `[B]` of observations `[B, ...]`, and the critic's state after them."""
        values, state = run_network(self.critic, obs, state, sequences)
        return values.squeeze(-1), state

    def act_inference(self, obs: TensorDict, states: Mapping[str, State]) -> tuple[Tensor, Mapping[str, State]]:
        """The best actions `[B, A]`, and the actor's state after them."""
        params, state = self.actor_params(obs, states["actor"])
        return self._distribution.deterministic(params), {"actor": state}

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """The actor's parameters, the distribution's and shared encoders among them, and the critic's."""
        critic = set(self.critic.parameters()) - set(self.actor.parameters())
        return {
            "actor": [parameter for parameter in self.parameters() if parameter not in critic],
            "critic": [parameter for parameter in self.critic.parameters() if parameter in critic],
        }

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics of both networks."""
        self.actor.update_normalization(obs)
        self.critic.update_normalization(obs)


def share_encoders(actor: nn.Module, critic: nn.Module, context: Context) -> None:
    """Let the critic use the actor's encoders.

    Raises:
        ConfigError: A network has no encoders, or the two encode other groups, or in another way.
    """
    encoders: list[nn.ModuleDict] = []
    for name, network in (("actor", actor), ("critic", critic)):
        found = getattr(network, "encoders", None)
        if not isinstance(found, nn.ModuleDict):
            raise context.error("share_encoders", f"the network of the {name} has no encoders to share")
        encoders.append(found)
    ours, theirs = encoders
    if ours.keys() != theirs.keys():
        raise context.error(
            "share_encoders",
            f"the actor encodes {listed(ours.keys())} and the critic {listed(theirs.keys())}; give both the same ones",
        )
    for group in ours:
        if str(ours[group]) != str(theirs[group]):
            raise context.error(
                "share_encoders", f"the encoders of '{group}' differ between actor and critic; configure them alike"
            )
    critic.encoders = ours
