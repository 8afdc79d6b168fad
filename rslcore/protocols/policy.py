"""Policy: the networks that an algorithm trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensordict import TensorDict
    from torch import Tensor, nn

    from rslcore.protocols.distribution import Distribution
    from rslcore.recurrence import Sequences, State
    from rslcore.specs import TensorSpec


@runtime_checkable
class Policy(Protocol):
    """A `torch.nn.Module` that turns observations into actions. What else an algorithm asks of it, the algorithm says
    in a protocol of its own, such as `ActorCriticPolicy`.

    Like networks, a policy keeps no state: that of each of its networks is handed in and out.
    """

    def state_specs(self) -> Mapping[str, Mapping[str, TensorSpec]]:
        """Shape and type of a row of each network's state, `{network: {name: spec}}`, empty for a feed-forward one."""

    def act_inference(self, obs: TensorDict, states: Mapping[str, State]) -> tuple[Tensor, Mapping[str, State]]:
        """The best actions `[N, A]` for observations `[N, ...]`, deterministic, and the states after them."""


@runtime_checkable
class ActorCriticPolicy(Policy, Protocol):
    """A stochastic actor and a critic: what policy-gradient algorithms train. Its networks are `actor` and `critic`.

    `state` and `sequences` are as for `rslcore.recurrence.run_network`; an empty state is that of a feed-forward one.
    """

    @property
    def distribution(self) -> Distribution:
        """What the actor's parameters are parameters of."""

    def actor_params(
        self, obs: TensorDict, state: State, sequences: Sequences | None = None
    ) -> tuple[Mapping[str, Tensor], State]:
        """Distribution parameters, `{name: [B, ...]}`, of observations `[B, ...]`, and the actor's state after them."""

    def values(self, obs: TensorDict, state: State, sequences: Sequences | None = None) -> tuple[Tensor, State]:
        """Values `[B]` of observations `[B, ...]`, and the critic's state after them."""

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """All parameters, once each, in named groups (`actor`, `critic`) whose gradients are clipped separately."""

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics. Called between updates, never within a rollout."""


@runtime_checkable
class StudentTeacherPolicy(Policy, Protocol):
    """A student that learns to act as a teacher does: what distillation trains. Its network is `student`."""

    @property
    def distribution(self) -> Distribution:
        """What the student's parameters are parameters of."""

    def student_params(
        self, obs: TensorDict, state: State, sequences: Sequences | None = None
    ) -> tuple[Mapping[str, Tensor], State]:
        """Distribution parameters, `{name: [B, ...]}`, of observations `[B, ...]`, and the student's state after."""

    def teacher_actions(self, obs: TensorDict) -> Tensor:
        """What the teacher does, `[N, A]`, for observations `[N, ...]`; it remembers by itself what it needs."""

    def reset_teacher(self, dones: Tensor | None = None) -> None:
        """Let the teacher forget the episodes of the envs in `dones [N]`, or all."""

    def teacher_local_state_dict(self) -> dict[str, Any]:
        """What the teacher remembers; see `Algorithm.local_state_dict`."""

    def load_teacher_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `teacher_local_state_dict`; of new episodes it remembers nothing."""

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """The student's parameters, once each, in named groups."""

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the student's running statistics."""
