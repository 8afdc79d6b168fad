"""Extension: what a plugin adds to an algorithm without editing it.

Every hook has a body that does nothing, so that an extension writes only those that it needs; the base class to inherit
from is `rslcore.Extension`, which also keeps `config` and `context`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tensordict import TensorDict
    from torch import Tensor

    from rslcore.batch import Batch
    from rslcore.extension import Bindings, Transition
    from rslcore.protocols.storage import RolloutStorage, Storage
    from rslcore.specs import TensorSpec


@runtime_checkable
class Extension(Protocol):
    """The hooks, in the order in which an algorithm calls them."""

    def observation_groups(self) -> Mapping[str, TensorSpec]:
        """Groups that `before_act` adds or replaces, so that networks can read them."""
        return {}

    def bind(self, bindings: Bindings) -> None:
        """See the policy; register modules. Called once, before the algorithm makes its optimizer."""

    def fields(self) -> Mapping[str, TensorSpec]:
        """Columns `[T, N, *shape]` to keep with the rollout; they come back as `batch[name]`.

        Names that begin with `bindings.name` are nobody else's.
        """
        return {}

    def start_iteration(self, iteration: int, total: int) -> None:
        """Iteration `iteration` of `total`, counted from 0, is about to be collected."""

    def before_act(self, obs: TensorDict) -> TensorDict:
        """Return observations `[N, ...]` with groups added or changed; `obs` itself must stay as it is.

        Called once for each observation that is acted on, so it may keep a history; also where a trained policy acts,
        and there N is what the caller gives, not the run's number of envs.
        """
        return obs

    def after_act(self, obs: TensorDict, actions: Tensor) -> None:
        """Actions `[N, A]` were chosen for what `before_act` returned; where a trained policy acts, too.

        What the next observations are to hold of the actions, such as the latest one, is noted here.
        """

    def extend_final_obs(self, final_obs: TensorDict) -> TensorDict:
        """Do to observations that nobody acts on yet what `before_act` does, without moving on any state of its own.

        They are those of `Transition.next_obs`, the last ones of ended episodes among them, and the last of a rollout.
        Calls `before_act` unless overridden; an extension whose `before_act` keeps a history must override it. Of
        several ranks one may be alone in this call: it must not wait for others.
        """
        return self.before_act(final_obs)

    def reset(self, dones: Tensor | None) -> None:
        """Episodes of the envs in `dones [N]`, bool, have ended, or, if None, those of all envs: forget them.

        Called after each step, in a rollout and where a trained policy acts, before the next observation is seen.
        """

    def train_mode(self, mode: bool) -> None:
        """The algorithm trains from now on (True), or only acts (False); registered modules are switched already."""

    def shape_reward(self, transition: Transition, rewards: Tensor) -> Tensor:
        """Return the rewards `[N]` to learn from, before the time-out bootstrap; `rewards` holds what came before."""
        return rewards

    def after_step(self, transition: Transition) -> None:
        """Look at a transition; write the extension's columns of it with `storage.write`."""

    def after_rollout(self, storage: RolloutStorage) -> None:
        """Derive columns from a whole rollout, before returns are computed."""

    def after_returns(self, storage: RolloutStorage, outputs: Mapping[str, Any]) -> None:
        """Change the columns `returns` and `advantages` `[T, N]`, which are computed and not normalized yet.

        `outputs` holds what the algorithm computed of the rollout; PPO gives `values [T, N]`, `last_values [N]` of
        `last_obs [N, ...]`, to which the rollout led, and `final_obs`, the last observations of episodes that ended in
        it, `{step: [N, ...]}`. So an extension may add a reward with a critic of its own.
        """

    def samplers(self, num_updates: int, batch_size: int) -> Mapping[str, Iterator[Any]]:
        """Return second streams of data, such as expert transitions: each minibatch of the update draws one item.

        Called after `after_rollout`. `num_updates` items are drawn of each stream; `batch_size` is the number of rows
        of a minibatch, as a hint for the size of an item. The item of stream `name` is `batch.samples[name]`.
        """
        return {}

    def augment(self, batch: Batch) -> Batch:
        """Return the minibatch with rows added behind the original ones, or changed ones in their place.

        All columns, observation groups, and sequences with their states, must stay of one length.
        """
        return batch

    def losses(self, batch: Batch, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """Return `{name: (scalar, weight)}` to be added to the loss; each is logged as `Loss/<name>`.

        `outputs` holds what the algorithm computed for the batch; PPO gives `params`, `values`, `log_prob`, `ratio`,
        Distillation `params` and `actions`. Both give `latent [B, F]`, what the output layer of the actor, or of the
        student, is fed with, where its network has one.
        """
        return {}

    def after_backward(self, batch: Batch, outputs: Mapping[str, Any]) -> None:
        """Gradients of the loss are there, neither clipped nor stepped: change them in place."""

    def after_minibatch(self, batch: Batch, outputs: Mapping[str, Any]) -> None:
        """The algorithm's optimizer has stepped; gradients are still there."""

    def after_update(self, storage: Storage) -> None:
        """All minibatches are done; a rollout has not been cleared yet."""

    def metrics(self) -> Mapping[str, Tensor]:
        """Scalars of the iteration by name (`section/name`), still on the device."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """State beside that of registered modules, the same on all ranks: tensors, plain containers and scalars."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""

    def local_state_dict(self) -> dict[str, Any]:
        """State that this process alone has, between two iterations: what is remembered of the running episodes, and
        what was collected from its own envs. See `Algorithm.local_state_dict`."""
        return {}

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; without `same_episodes`, what was remembered of episodes is left out."""
