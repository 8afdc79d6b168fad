"""The base class of extensions, and what their hooks are given.

Legend: N envs, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
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
        groups: The observation groups that the policy sees, those that extensions add among them.
        name: The extension's own name in the algorithm, no other one's: `rnd`, and `rnd#2` for the second such.
    """

    policy: Policy
    modules: ModuleTable
    storage: Storage
    groups: Mapping[str, TensorSpec]
    name: str


class Transition:
    """One step of N envs, from the observations that were acted on to what came of it.

    Args:
        obs: What the policy saw, `[N, ...]`, with the groups that extensions added.
        actions: What it did, `[N, A]`.
        step: What the env made of it.
        extend: Adds the groups of extensions to observations that nobody acts on; nothing by default.
    """

    def __init__(
        self,
        obs: TensorDict,
        actions: Tensor,
        step: EnvStep,
        extend: Callable[[TensorDict], TensorDict] = lambda obs: obs,
    ) -> None:
        self.obs = obs
        self.actions = actions
        self.step = step
        self._extend = extend

    @cached_property
    def next_obs(self) -> TensorDict:
        """The true observations after the step, `[N, ...]`, of ended episodes their last ones.

        With the groups that extensions add, by `extend_final_obs`. Where the env keeps no final observations, rows of
        ended episodes hold the first observation of the new one: see `linked`.
        """
        return self._extend(self.step.obs if self.step.final_obs is None else self.step.final_obs)

    @cached_property
    def linked(self) -> Tensor:
        """Whether `next_obs` came after `obs` in one episode, `[N]`, bool.

        False where the env ignored the action because it was resetting, and where an episode ended whose last
        observation the env does not keep. Only linked rows are pairs to learn a motion from.
        """
        step = self.step
        linked = torch.ones_like(step.dones) if step.final_obs is not None else ~step.dones
        return linked if step.valid is None else linked & step.valid

    def add_to_episode(self, name: str, values: Tensor) -> None:
        """Add `values [N]` to the running episodes; `Episode/<name>` is the mean of those that ended lately.

        A name with a slash is taken as it is.
        """
        self.step.extras.setdefault("episode", {})[name] = values


class Extension(protocols.Extension):
    """Base of extensions; override the hooks of `rslcore.protocols.Extension` that you need.

    Args:
        config: An instance of the extension's config class.
        context: The surroundings of the algorithm; `context.env_spec` is that of the env.
    """

    is_row_wise: ClassVar[bool] = False
    """Whether its losses are means over the rows of a minibatch, so that `losses` may be called with a part at a time,
    and go back through `outputs` only as the algorithm does, so that they may be compiled.
    `after_backward` and `after_minibatch` are given the whole one then, and no outputs if there were several parts."""

    def __init__(self, config: Any, context: Context) -> None:
        self.config = config
        self.context = context
