"""An env that costs nothing, so that what is timed is the library alone.

It hands out tensors that it has made once. Where episodes end, they do so in a fixed pattern, the same for whoever
steps it: each env every `episode_length` steps, one after the other, those of even number by a time limit and the
others in a terminal state. Like the envs of most simulators, it keeps no final observations.

Legend: N envs, A actions.
"""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.config import Range, config, option
from rslcore.context import Context
from rslcore.protocols import EnvStep
from rslcore.registry import Entry, PluginRow, Registry, Source
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec

NUM_OBS, NUM_ACTIONS = 48, 12
"""Those of a legged robot that walks on flat ground."""

NUM_KEPT = 4
"""Observations that take turns."""


@config
class FreeEnvConfig:
    """Shapes, and how often episodes end."""

    num_envs: int = option(256, "N.", Range(1))
    shape: tuple[int, ...] = option((NUM_OBS,), "Of an observation; with three items it is an image.", Range(1))
    num_actions: int = option(NUM_ACTIONS, "A.", Range(1))
    episode_length: int | None = option(96, "Steps of an episode; null for episodes without an end.", Range(1))


class FreeEnv:
    """Hands out the same few observations in turn.

    Args:
        options: Shapes, and how often episodes end.
        device: Where the tensors are.
    """

    def __init__(self, options: FreeEnvConfig, device: torch.device | str = "cpu") -> None:
        size = options.num_envs
        action = ActionSpec(options.num_actions, (), (-1.0,) * options.num_actions, (1.0,) * options.num_actions)
        group = "image" if len(options.shape) == 3 else "policy"
        self.spec = EnvSpec(
            size, {group: TensorSpec(options.shape)}, action, options.episode_length, keeps_final_obs=False
        )
        generator = torch.Generator().manual_seed(0)
        draw = torch.rand if len(options.shape) == 3 else torch.randn
        kept = [draw(size, *options.shape, generator=generator) for _ in range(NUM_KEPT)]
        self._obs = [TensorDict({group: obs.to(device)}, batch_size=[size]) for obs in kept]
        self._rewards = torch.randn(size, generator=generator).to(device)
        self._never = torch.zeros(size, dtype=torch.bool, device=device)
        self._ends: list[tuple[Tensor, Tensor]] = []  # terminated and truncated, by step of the pattern
        numbers, length = torch.arange(size, device=device), options.episode_length
        for step in range(length or 0):
            ends = (numbers + step) % length == 0
            is_cut = numbers % 2 == 0
            self._ends.append((ends & ~is_cut, ends & is_cut))
        self._step = 0

    @property
    def obs(self) -> TensorDict:
        """The observations to act on, a new object, as those of real envs are."""
        return self._obs[self._step % NUM_KEPT].clone(recurse=False)

    def reset(self) -> TensorDict:
        """The first observations."""
        self._step = 0
        return self.obs

    def step(self, actions: Tensor | None = None) -> EnvStep:
        """Another step, whatever is done in it."""
        ends = self._ends[self._step % len(self._ends)] if self._ends else (self._never, self._never)
        self._step += 1
        return EnvStep(self.obs, self._rewards, *ends)

    def close(self) -> None:
        """There is nothing to release."""


def build(options: FreeEnvConfig, context: Context) -> FreeEnv:
    """The factory of the env `free`."""
    return FreeEnv(options, context.device)


def mirror(env: object, obs: TensorDict | None, actions: Tensor | None) -> tuple[TensorDict | None, Tensor | None]:
    """A mirrored copy with all signs changed, behind the original rows; for the extension `symmetry`."""
    if obs is not None:
        obs = TensorDict({"policy": torch.cat([obs["policy"], -obs["policy"]])}, batch_size=[2 * len(obs)])
    return obs, None if actions is None else torch.cat([actions, -actions])


def make_registry(*components: tuple[str, str, str, str]) -> Registry:
    """The installed plugins, the env `free` and what else a benchmark has.

    Args:
        components: Kind, name, factory and config class of each.
    """
    base, source = Registry.discover(), Source("bench", "bench", "1.0", __name__)
    free = ("env", "free", "free_env:build", "free_env:FreeEnvConfig")
    entries = tuple(Entry(*component, "", source) for component in (free, *components))
    return Registry([*base.plugins, PluginRow(source, "ok", "", entries)], base.manager)
