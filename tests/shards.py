"""An env whose rows are a function of their place among those of all ranks, and what it takes to compare runs with it.

N envs of one process, and those of several that have N together, make the same observations, rewards and ends of
episodes out of the same actions. The distribution `shared` draws the same noise for them.

Legend: N envs of a process, D numbers of a state.
"""

from __future__ import annotations

import sys

import torch
from tensordict import TensorDict
from torch import nn

from rslcore import Batch, Extension
from rslcore.config import config, option
from rslcore.distributed import average_gradients, num_ranks, rank
from rslcore.protocols import EnvStep
from rslcore.registry import Registrar, Registry, hookimpl
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.testing.registry import extend_registry
from rslcore_distributions.gaussian import Gaussian

PLUGIN_API = 1


@config
class ShardsConfig:
    num_envs: int = option(8, "N.")
    uneven: bool = option(False, "Whether some rows of the first envs are no transitions.")


class Shards:
    """The states of a row are pushed about by its place, its action and the step."""

    def __init__(self, config, context):
        size = config.num_envs
        self.spec = EnvSpec(
            size,
            {"policy": TensorSpec((3,)), "privileged": TensorSpec((2,))},
            ActionSpec(1, low=(-1.0,), high=(1.0,)),
            max_episode_length=8,
        )
        self._uneven, self._device = config.uneven, context.device
        self._place = torch.arange(size, device=self._device) + rank() * size
        self._episode = torch.zeros_like(self._place)
        self._steps = torch.zeros_like(self._place)
        self._now = 0
        self._state = self._first()

    def reset(self):
        self._episode, self._steps, self._now = self._episode * 0, self._steps * 0, 0
        self._state = self._first()
        return self._observe()

    def step(self, actions):
        self._now += 1
        valid = torch.ones_like(self._place, dtype=torch.bool)
        if self._uneven:
            valid = (self._place > 2) | (self._now % 3 != 1)
        pushed = 0.9 * self._state + 0.3 * actions + 0.2 * torch.sin(self._place + 0.7 * self._now).unsqueeze(1)
        self._state = torch.where(valid.unsqueeze(1), torch.tanh(pushed), self._state)
        self._steps = self._steps + valid
        terminated = valid & ((7 * self._steps + 5 * self._place + 3 * self._episode) % 11 == 0)
        truncated = valid & (self._steps >= 5 + self._place % 3)
        final_obs, dones = self._observe(), terminated | truncated
        rewards = valid * (actions[:, 0] * self._state[:, 1] - self._state[:, 0].square())
        energy = self._state[:, 2].square()
        self._episode, self._steps = self._episode + dones, torch.where(dones, 0, self._steps)
        self._state = torch.where(dones.unsqueeze(1), self._first(), self._state)
        extras = {"log": {"shards/state": self._state.mean()}, "episode": {"energy": energy}}
        return EnvStep(
            self._observe(), rewards, terminated, truncated, final_obs, valid if self._uneven else None, extras
        )

    def close(self):
        pass

    def state_dict(self):
        return {
            name: getattr(self, f"_{name}").clone() if name != "now" else self._now
            for name in ("episode", "steps", "state", "now")
        }

    def load_state_dict(self, state):
        for name, value in state.items():
            setattr(self, f"_{name}", value.to(self._device) if name != "now" else value)

    def _first(self):
        columns = torch.arange(3, device=self._device)
        return torch.sin(1.7 * self._place.unsqueeze(1) + 0.9 * self._episode.unsqueeze(1) + 0.6 * columns)

    def _observe(self):
        groups = {"policy": self._state.clone(), "privileged": self._state[:, :2] * 2.0}
        return TensorDict(groups, batch_size=[len(self._place)])


class SharedNoise(Gaussian):
    """Draws for the rows of all ranks, and gives this one its own."""

    def __init__(self, config, context):
        super().__init__(config, context)
        self._generator = torch.Generator().manual_seed(7)

    def sample(self, params):
        rows, columns = params["mean"].shape
        noise = torch.randn(rows * num_ranks(), columns, generator=self._generator)[rank() * rows :][:rows]
        return params["mean"] + params["std"] * noise.to(params["mean"].device)


def error_of(module: nn.Module, batch: Batch) -> torch.Tensor:
    """Of a module that predicts a privileged observation, squared."""
    error = module(batch.obs["policy"]) - batch.obs["privileged"][:, :1]
    return error.square().mean()


@config
class NoOptions:
    """Of an extension."""


class OwnOptimizer(Extension):
    """Predicts an observation with a module of its own, which the extension steps itself."""

    def bind(self, bindings):
        self.module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).to(self.context.device)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=0.01)
        bindings.modules.register(bindings.name, self.module, optimizer=self.optimizer)

    def losses(self, batch, outputs):
        return {"predicted": (error_of(self.module, batch), 0.5)}

    def after_minibatch(self, batch, outputs):
        self.optimizer.step()
        self.optimizer.zero_grad()


@config
class ApartConfig:
    averages: bool = option(True, "Whether gradients are averaged before a step.")


class Apart(Extension):
    """The same, with a backward pass of its own."""

    def bind(self, bindings):
        self.module = nn.Linear(3, 1).to(self.context.device)
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=0.1)
        bindings.modules.register(bindings.name, self.module, optimizer=self.optimizer)

    def after_minibatch(self, batch, outputs):
        self.optimizer.zero_grad()
        error_of(self.module, batch).backward()
        if self.config.averages:
            average_gradients(self.module.parameters())
        self.optimizer.step()


def mirrored(env, obs, actions):
    """For the extension `symmetry`: everything negated."""
    if obs is not None:
        obs = torch.cat([obs, obs.apply(torch.neg)])
    if actions is not None:
        actions = torch.cat([actions, -actions])
    return obs, actions


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    registry.add_env("shards", factory=f"{__name__}:Shards", config=f"{__name__}:ShardsConfig", summary="See above.")
    registry.add_distribution(
        "shared",
        factory=f"{__name__}:SharedNoise",
        config="rslcore_distributions.config:GaussianConfig",
        summary="See above.",
    )
    for name, factory, options in (("own_optimizer", "OwnOptimizer", "NoOptions"), ("apart", "Apart", "ApartConfig")):
        registry.add_extension(
            name, factory=f"{__name__}:{factory}", config=f"{__name__}:{options}", summary="See above."
        )


def registry() -> Registry:
    """The installed plugins, and those of this module."""
    return extend_registry(Registry.discover(), (sys.modules[__name__],))
