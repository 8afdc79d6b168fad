"""The base class of extensions, what their hooks are given, and which hooks an algorithm has to call.

An algorithm carries extensions in a list. It looks once which hooks each of them overrides; a hook that nobody
overrides costs an empty loop. Extensions compose: several of them, from several plugins, work in one run.

Legend: N envs, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
from rslcore.context import Context
from rslcore.modules import ModuleTable
from rslcore.protocols import EnvStep, Policy, Storage


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


@attrs.frozen
class Transition:
    """One step of N envs, from the observations that were acted on to what came of it.

    Attributes:
        obs: What the policy saw, `[N, ...]`, with the groups that extensions added.
        actions: What it did, `[N, A]`.
        step: What the env made of it.
    """

    obs: TensorDict
    actions: Tensor
    step: EnvStep

    @property
    def next_obs(self) -> TensorDict:
        """The true observations after the step, `[N, ...]`, as the env gives them: the last ones of ended episodes."""
        return self.step.obs if self.step.final_obs is None else self.step.final_obs


class Extension(protocols.Extension):
    """Base of extensions; override the hooks of `rslcore.protocols.Extension` that you need.

    Args:
        config: An instance of the extension's config class.
        context: The surroundings of the algorithm; `context.env_spec` is that of the env.
    """

    def __init__(self, config: Any, context: Context) -> None:
        self.config = config
        self.context = context


class Hooks:
    """The overridden hooks of a list of extensions: for each name a tuple of bound methods, in order."""

    start_iteration: tuple[Callable[[int, int], None], ...]
    before_act: tuple[Callable[[TensorDict], TensorDict], ...]
    extend_final_obs: tuple[Callable[[TensorDict], TensorDict], ...]
    shape_reward: tuple[Callable[[Transition, Tensor], Tensor], ...]
    after_step: tuple[Callable[[Transition], None], ...]
    after_rollout: tuple[Callable[[Storage], None], ...]
    losses: tuple[Callable[[TensorDict, Mapping[str, Any]], Mapping[str, tuple[Tensor, float]]], ...]
    after_minibatch: tuple[Callable[[TensorDict, Mapping[str, Any]], None], ...]
    after_update: tuple[Callable[[Storage], None], ...]
    metrics: tuple[Callable[[], Mapping[str, Tensor]], ...]

    def __init__(self, extensions: Sequence[protocols.Extension]) -> None:
        for hook in Hooks.__annotations__:
            setattr(self, hook, tuple(getattr(extension, hook) for extension in extensions if _has(extension, hook)))


def _has(extension: protocols.Extension, hook: str) -> bool:
    # What changes observations for acting changes final ones too, through the default body of `extend_final_obs`.
    names = (hook, "before_act") if hook == "extend_final_obs" else (hook,)
    return any(getattr(type(extension), name) is not getattr(protocols.Extension, name) for name in names)
