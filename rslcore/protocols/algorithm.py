"""Algorithm: chooses actions while a rollout is collected and learns from it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensordict import TensorDict
    from torch import Tensor

    from rslcore.extension_list import ExtensionList
    from rslcore.learner import Learner
    from rslcore.protocols.env import EnvStep
    from rslcore.protocols.policy import Policy


@runtime_checkable
class Algorithm(Protocol):
    """Built as `factory(config, context, policy=PolicyComponent, storage=StorageComponent)`.

    It builds its policy and storage itself, because its extensions may add observation groups and fields to them. The
    runner calls `act` and `process_env_step` once an env step, under `rollout_context()`, and `update` once an
    iteration.
    """

    def act(self, obs: TensorDict) -> Tensor:
        """Choose actions `[N, A]` for observations `[N, ...]`, exploring, and remember what learning needs."""

    def process_env_step(self, step: EnvStep) -> None:
        """Take in what the env made of the last actions."""

    def update(self, obs: TensorDict) -> dict[str, Tensor]:
        """Learn from the rollout, whose last step led to `obs`; return scalars by metric name, still on the device."""

    def act_inference(self, obs: TensorDict) -> Tensor:
        """The best actions `[N, A]` for observations `[N, ...]`: deterministic, nothing is remembered for learning."""

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget the inner state of `act_inference` for the envs in `dones [N]`, or for all."""

    def rollout_context(self) -> AbstractContextManager[Any]:
        """The context in which a rollout is collected, such as `torch.no_grad()`."""

    def start_iteration(self, iteration: int, total: int) -> None:
        """Iteration `iteration` of `total`, counted from 0, is about to be collected. Schedules live here."""

    def train_mode(self) -> None:
        """Put all that the algorithm owns in training mode."""

    def eval_mode(self) -> None:
        """Put all that the algorithm owns in evaluation mode."""

    def state_dict(self) -> dict[str, Any]:
        """All that must be known to learn on or to act, the same on all ranks: tensors, plain containers, scalars."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`. Raises CheckpointError, listing every misfit, if the state does not fit."""

    def local_state_dict(self) -> dict[str, Any]:
        """What this process alone has, between two iterations: what is remembered of the running episodes, and data
        that was collected and is still to be learned from. Only needed to go on, with as many envs."""

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`.

        Args:
            state: As it was saved.
            same_episodes: Whether the envs go on with their episodes. If not, they begin anew, and so does what was
                remembered of them; what was collected is still there.
        """


@runtime_checkable
class LearningAlgorithm(Algorithm, Protocol):
    """An algorithm that trains through a `Learner`: a run then looks at its gradients, parameters and minibatches.

    Of any other algorithm a run sees the metrics alone. If it has a `RolloutStorage` as `storage` too, what was
    collected is saved where an update goes wrong.
    """

    @property
    def learner(self) -> Learner:
        """What it trains with."""


@runtime_checkable
class ExportableAlgorithm(Algorithm, Protocol):
    """An algorithm that acts by the hooks of its extensions and by its policy, and by nothing else: what it does can be
    written down as a function of observations and states.
    """

    @property
    def policy(self) -> Policy:
        """What acts, given the observations with what extensions add."""

    @property
    def extensions(self) -> ExtensionList:
        """What changes observations before."""
