"""An env for tests, small enough for a CPU.

Legend: N envs, A actions, D numbers of a state.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import CheckpointError, EnvError
from rslcore.protocols import EnvStep
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.testing.fakes.config import FakeEnvConfig

STATE_SIZE = 4
"""D, the numbers that an env consists of."""

ACTIONS = {
    "continuous": ActionSpec(2, low=(-math.inf,) * 2, high=(math.inf,) * 2),
    "bounded": ActionSpec(2, low=(-1.0,) * 2, high=(1.0,) * 2),
    "discrete": ActionSpec(1, num_choices=(3,)),
    "multi_discrete": ActionSpec(2, num_choices=(3, 2)),
}


def make_spec(**options: Any) -> EnvSpec:
    """What the fake env with these options (see `FakeEnvConfig`) says of itself."""
    return _spec_of(FakeEnvConfig(**options))


def _spec_of(config: FakeEnvConfig) -> EnvSpec:
    return EnvSpec(
        num_envs=config.num_envs,
        observations={group: TensorSpec(tuple(shape)) for group, shape in config.groups.items()},
        actions=ACTIONS[config.actions],
        max_episode_length=max(config.episode_lengths),
        keeps_final_obs=config.keeps_final_obs,
    )


class FakeEnv:
    """N envs of D numbers each, which actions push and noise shakes.

    The observations are projections of the numbers, the reward is minus their mean square. When episodes end is known
    beforehand, by the options alone, so that nothing is read on the host.

    Args:
        config: The options.
        context: Gives the device and the seed.
    """

    def __init__(self, config: FakeEnvConfig, context: Context) -> None:
        self.spec = _spec_of(config)
        self._config = config
        self._device = context.device
        self._generator = torch.Generator().manual_seed(context.seed)
        self._projections = {
            group: _fixed(zlib.crc32(group.encode()), STATE_SIZE, spec.size).to(self._device)
            for group, spec in self.spec.observations.items()
        }
        self._push = _fixed(1, self.spec.actions.num_actions, STATE_SIZE).to(self._device)
        self._dtype = torch.int64 if self.spec.actions.is_discrete else torch.float32
        self._state = torch.zeros(config.num_envs, STATE_SIZE, device=self._device)
        self._episodes = list(range(config.num_envs))  # env i begins with the i-th of the lengths
        self._steps = [0] * config.num_envs
        self._was_done = [False] * config.num_envs

    def reset(self) -> TensorDict:
        """Start N new episodes."""
        self._steps = [0] * self.spec.num_envs
        self._was_done = [False] * self.spec.num_envs
        self._state = self._draw()
        return self._observe(self._state)

    def step(self, actions: Tensor) -> EnvStep:
        """Apply actions `[N, A]`.

        Raises:
            EnvError: They have another shape or type than the spec says.
        """
        expected = (self.spec.num_envs, self.spec.actions.num_actions)
        if tuple(actions.shape) != expected or actions.dtype != self._dtype:
            raise EnvError(
                f"actions should be {list(expected)} {self._dtype}, they are {list(actions.shape)} {actions.dtype}"
            )
        pushed = actions.detach().float().clamp(-2.0, 2.0) @ self._push
        state = 0.8 * self._state + 0.2 * pushed + 0.05 * self._draw()
        if self._config.autoreset == "next_step":
            return self._finish_next_step(state)
        ended, terminated, truncated = self._count()
        final_obs = self._observe(state) if any(ended) and self.spec.keeps_final_obs else None
        self._state = torch.where(self._flags(ended).unsqueeze(-1), self._draw(), state)
        return self._to_step(state, terminated, truncated, final_obs, None)

    def reset_envs(self, envs: Tensor) -> TensorDict:
        """Start new episodes in the envs that are True in `envs [N]`, bool, which is read on the host."""
        chosen = envs.nonzero()[:, 0].tolist()
        if not chosen:
            return self._observe(self._state)
        for index in chosen:
            self._steps[index] = 0
            self._episodes[index] += 1
            self._was_done[index] = False
        self._state = torch.where(envs.to(self._device).unsqueeze(-1), self._draw(), self._state)
        return self._observe(self._state)

    def state_dict(self) -> dict[str, Any]:
        """The numbers of the envs, their counters, and the generator."""
        return {
            "state": self._state.clone(),
            "generator": self._generator.get_state(),
            "steps": list(self._steps),
            "episodes": list(self._episodes),
            "was_done": list(self._was_done),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`.

        Raises:
            CheckpointError: It is none, or of another number of envs.
        """
        if len(state.get("steps", ())) != self.spec.num_envs:
            raise CheckpointError(f"the saved state is not one of {self.spec.num_envs} fake envs")
        self._state = state["state"].to(self._device, copy=True)
        self._generator.set_state(state["generator"].cpu())
        self._steps = list(state["steps"])
        self._episodes = list(state["episodes"])
        self._was_done = list(state["was_done"])

    def close(self) -> None:
        """There is nothing to release."""

    def _finish_next_step(self, state: Tensor) -> EnvStep:
        resetting = self._was_done
        self._state = torch.where(self._flags(resetting).unsqueeze(-1), self._draw(), state)
        ended, terminated, truncated = self._count(resetting)
        self._was_done = ended
        final_obs = self._observe(self._state) if any(ended) and self.spec.keeps_final_obs else None
        valid = ~self._flags(resetting) if any(resetting) else None
        return self._to_step(self._state, terminated, truncated, final_obs, valid)

    def _count(self, resetting: list[bool] | None = None) -> tuple[list[bool], list[bool], list[bool]]:
        """Count a step of the envs that do not reset: which have ended with it, by a terminal state, by a limit."""
        config = self._config
        ended = []
        terminated = []
        for index in range(self.spec.num_envs):
            if resetting is not None and resetting[index]:
                ended.append(False)
                terminated.append(False)
                continue
            self._steps[index] += 1
            episode = self._episodes[index]
            ended.append(self._steps[index] >= config.episode_lengths[episode % len(config.episode_lengths)])
            terminated.append(ended[-1] and config.endings[episode % len(config.endings)] == "terminated")
            if ended[-1]:
                self._steps[index] = 0
                self._episodes[index] += 1
        truncated = [done and not terminal for done, terminal in zip(ended, terminated, strict=True)]
        return ended, terminated, truncated

    def _to_step(
        self,
        state: Tensor,
        terminated: list[bool],
        truncated: list[bool],
        final_obs: TensorDict | None,
        valid: Tensor | None,
    ) -> EnvStep:
        rewards = -state.square().mean(-1)
        return EnvStep(
            obs=self._observe(self._state),
            rewards=rewards if valid is None else rewards * valid,
            terminated=self._flags(terminated),
            truncated=self._flags(truncated),
            final_obs=final_obs,
            valid=valid,
            extras={"log": {"fake/state": state.mean()}},
        )

    def _flags(self, flags: list[bool]) -> Tensor:
        return torch.tensor(flags, device=self._device)

    def _draw(self) -> Tensor:
        return torch.randn(self.spec.num_envs, STATE_SIZE, generator=self._generator).to(self._device)

    def _observe(self, state: Tensor) -> TensorDict:
        groups = {
            name: torch.tanh(state @ self._projections[name]).view(-1, *spec.shape)
            for name, spec in self.spec.observations.items()
        }
        return TensorDict(groups, batch_size=[self.spec.num_envs])


def _fixed(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
