"""Extension: what a plugin adds to an algorithm without editing it.

An algorithm carries extensions in a list. It looks once which hooks each of them overrides; a hook that nobody
overrides costs an empty loop. Extensions compose: several of them, from several plugins, work in one run.

Legend: N envs, T steps of a rollout, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.modules import ModuleTable
from rslcore.protocols import EnvStep, Policy, Storage
from rslcore.specs import TensorSpec


@attrs.frozen
class Bindings:
    """What an extension may see and change of its algorithm.

    Attributes:
        policy: The policy that the algorithm trains, on its device.
        modules: Where the extension registers the modules that it trains.
        storage: Where the columns that it declared are written.
    """

    policy: Policy
    modules: ModuleTable
    storage: Storage


class Extension:
    """Base of extensions. Override the hooks that you need; all do nothing here.

    Args:
        config: An instance of the extension's config class.
        context: The surroundings of the algorithm; `context.env_spec` is that of the env.
    """

    def __init__(self, config: Any, context: Context) -> None:
        self.config = config
        self.context = context

    def observation_groups(self) -> Mapping[str, TensorSpec]:
        """Groups that `before_act` adds or replaces, so that networks can read them."""
        return {}

    def fields(self) -> Mapping[str, TensorSpec]:
        """Columns `[T, N, *shape]` to keep with the rollout; they come back as `batch[name]`."""
        return {}

    def bind(self, bindings: Bindings) -> None:
        """See the policy; register modules. Called once, before the algorithm makes its optimizer."""

    def before_act(self, obs: TensorDict) -> TensorDict:
        """Return observations `[N, ...]` with groups added or changed; `obs` itself must stay as it is."""
        return obs

    def shape_reward(self, step: EnvStep, rewards: Tensor) -> Tensor:
        """Return the rewards `[N]` to learn from, before the time-out bootstrap; `rewards` holds what came before."""
        return rewards

    def after_step(self, step: EnvStep) -> None:
        """Look at a step; write the extension's columns of it with `storage.write`."""

    def after_rollout(self, storage: Storage) -> None:
        """Derive columns from a whole rollout, before returns are computed."""

    def losses(self, batch: TensorDict, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """Return `{name: (scalar, weight)}` to be added to the loss; each is logged as `Loss/<name>`.

        `outputs` holds what the algorithm computed for the batch; PPO gives `params`, `values`, `log_prob`, `ratio`.
        """
        return {}

    def after_minibatch(self) -> None:
        """The algorithm's optimizer has stepped; gradients are still there."""

    def after_update(self, storage: Storage) -> None:
        """All minibatches are done; the rollout has not been cleared yet."""

    def start_iteration(self, iteration: int, total: int) -> None:
        """Iteration `iteration` of `total`, counted from 0, is about to be collected."""

    def metrics(self) -> Mapping[str, Tensor]:
        """Scalars of the iteration by name (`section/name`), still on the device."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """State beside that of registered modules: tensors, plain containers and scalars."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""


HOOKS = (
    "before_act",
    "shape_reward",
    "after_step",
    "after_rollout",
    "losses",
    "after_minibatch",
    "after_update",
    "start_iteration",
    "metrics",
)


class Hooks:
    """The overridden hooks of a list of extensions: for each name in `HOOKS` a tuple of bound methods, in order."""

    before_act: tuple[Callable[[TensorDict], TensorDict], ...]
    shape_reward: tuple[Callable[[EnvStep, Tensor], Tensor], ...]
    after_step: tuple[Callable[[EnvStep], None], ...]
    after_rollout: tuple[Callable[[Storage], None], ...]
    losses: tuple[Callable[[TensorDict, Mapping[str, Any]], Mapping[str, tuple[Tensor, float]]], ...]
    after_minibatch: tuple[Callable[[], None], ...]
    after_update: tuple[Callable[[Storage], None], ...]
    start_iteration: tuple[Callable[[int, int], None], ...]
    metrics: tuple[Callable[[], Mapping[str, Tensor]], ...]

    def __init__(self, extensions: Sequence[Extension]) -> None:
        for hook in HOOKS:
            overridden = [
                getattr(extension, hook)
                for extension in extensions
                if getattr(type(extension), hook) is not getattr(Extension, hook)
            ]
            setattr(self, hook, tuple(overridden))
