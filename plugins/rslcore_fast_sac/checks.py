"""What must fit before fast_sac can run, with messages that say what to do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.protocols import Policy, ReplayStorage
from rslcore_fast_sac.config import FastSacConfig


@runtime_checkable
class SoftActorCriticPolicy(Policy, Protocol):
    """What the algorithm asks of its policy; `rslcore_fast_sac.policy.SoftActorCritic` documents each."""

    def sample(self, obs: TensorDict) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Random actions in (-1, 1), `[B, A]`, their log-densities, `[B]`, and scalars worth watching."""

    def random_actions(self, num_rows: int) -> Tensor:
        """Uniform actions, `[B, A]`."""

    def to_env(self, actions: Tensor) -> Tensor:
        """Actions in [-1, 1] as the env takes them."""

    def features(self, obs: TensorDict) -> Tensor:
        """What the critics see of observations, `[B, D]`."""

    def q_values(self, features: Tensor, actions: Tensor, *, frozen: bool = False) -> Tensor:
        """Values by each critic, `[E, B]`."""

    def target_values(self, features: Tensor, actions: Tensor) -> Tensor:
        """Values by each target critic, `[E, B]`."""

    def update_targets(self, rate: float) -> None:
        """Move the target critics towards the critics."""

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters that are trained, by group."""

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations into the running statistics."""


def check_actions(context: Context) -> None:
    """Raises ConfigError if the env takes discrete actions."""
    actions = context.env_spec.actions
    if actions.is_discrete:
        raise context.error("name", f"'fast_sac' is for continuous actions; the env takes {actions}; use 'ppo'")


def check_learning_starts(config: FastSacConfig, context: Context, storage: ReplayStorage) -> None:
    """Raises ConfigError if the replay can never hold what learning waits for."""
    if config.learning_starts > storage.capacity:
        raise context.error(
            "learning_starts",
            f"{config.learning_starts} transitions never are in the replay, which keeps {storage.capacity}; give "
            "fewer, or raise storage.capacity",
        )
