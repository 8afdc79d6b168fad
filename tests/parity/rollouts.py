"""Scripted rollouts: what the envs would give, whatever the actions.

Legend: N envs, T steps of a rollout.
"""

from __future__ import annotations

import attrs
import torch
from parity.case import Case
from tensordict import TensorDict
from torch import Tensor


@attrs.frozen
class Rollout:
    """What T steps of N envs gave.

    Attributes:
        obs: T + 1 times the observation groups `[N, ...]`; the last ones are the first ones of the next rollout.
        rewards: `[T, N]`.
        terminated: `[T, N]`, bool.
        truncated: `[T, N]`, bool; nowhere where `terminated` is.
    """

    obs: list[TensorDict]
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor


def script_rollouts(case: Case, count: int, seed: int = 0) -> list[Rollout]:
    """Rollouts that follow one another, with ends of episodes in the middle, in the first and in the last step."""
    generator = torch.Generator().manual_seed(seed)
    steps, envs = case.num_steps, case.num_envs

    def draw(*shape: int) -> Tensor:
        # In double precision, so that the same numbers come out whatever the default is.
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(torch.get_default_dtype())

    def observe() -> TensorDict:
        groups = {}
        for name, shape in case.observations.items():
            # Features of different scales, for normalizers to have something to do.
            scale = torch.linspace(0.5, 2.0, shape[0]).view(-1, *(1,) * (len(shape) - 1))
            groups[name] = scale * (draw(envs, *shape) + 0.5)
        return TensorDict(groups, batch_size=[envs])

    rollouts, obs = [], observe()
    for _ in range(count):
        sequence = [obs, *(observe() for _ in range(steps))]
        obs = sequence[-1]
        chance = torch.rand(steps, envs, generator=generator, dtype=torch.float64)
        terminated, truncated = chance < 0.1, (chance > 0.1) & (chance < 0.2)
        terminated[:, 0] = truncated[:, 0] = False  # one env whose episode goes on and on
        # One env whose episode ends in the first step, two whose episodes end in the last one.
        terminated[0, 1], truncated[0, 1] = True, False
        terminated[-1, 2], truncated[-1, 2] = True, False
        terminated[-1, 3], truncated[-1, 3] = False, True
        rollouts.append(Rollout(sequence, draw(steps, envs) + 0.3, terminated, truncated))
    return rollouts
