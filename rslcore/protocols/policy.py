"""Policy: the networks that an algorithm trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensordict import TensorDict
    from torch import Tensor, nn

    from rslcore.protocols.distribution import Distribution


@runtime_checkable
class Policy(Protocol):
    """A `torch.nn.Module` that turns observations into actions. What else an algorithm asks of it, the algorithm says
    in a protocol of its own, such as `ActorCriticPolicy`."""

    def act_inference(self, obs: TensorDict) -> Tensor:
        """The best actions `[N, A]` for observations `[N, ...]`, deterministic."""

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget recurrent state for the envs in `dones [N]`, or for all."""


@runtime_checkable
class ActorCriticPolicy(Policy, Protocol):
    """A stochastic actor and a critic: what policy-gradient algorithms train."""

    @property
    def distribution(self) -> Distribution:
        """What the actor's parameters are parameters of."""

    def forward(self, obs: TensorDict) -> tuple[Mapping[str, Tensor], Tensor]:
        """Distribution parameters, `{name: [B, ...]}`, and values `[B]` of observations `[B, ...]`."""

    def actor_params(self, obs: TensorDict) -> Mapping[str, Tensor]:
        """The first half of `forward`."""

    def values(self, obs: TensorDict) -> Tensor:
        """The second half of `forward`."""

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """All parameters, once each, in named groups (`actor`, `critic`) whose gradients are clipped separately."""

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics. Called between updates, never within a rollout."""
