"""Whole episodes of a policy in an env, as many in one env as in another.

Legend: N envs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
import numpy
from numpy.typing import NDArray
from tensordict import TensorDict

if TYPE_CHECKING:
    from rslcore.evaluation import InferencePolicy
    from rslcore.protocols import Env, EnvStep

_log = logging.getLogger(__name__)

PATIENCE = 10_000
"""Env steps without the end of an episode after which it is said that there may be none."""


@attrs.frozen
class PlayedStep:
    """A step of `play`.

    Attributes:
        obs: What the policy acted on.
        step: What the env made of it.
        valid: Envs `[N]` that stepped; the others only reset.
        dones: Envs `[N]` whose episode ended.
        counted: Those of them `[N]` whose episode is one of those asked for, not one played while others go on.
    """

    obs: TensorDict
    step: EnvStep
    valid: NDArray[numpy.bool_]
    dones: NDArray[numpy.bool_]
    counted: NDArray[numpy.bool_]


def play(env: Env, policy: InferencePolicy, episodes: int) -> Iterator[PlayedStep]:
    """Play whole episodes; every env plays the same number of them, give or take one."""
    num_envs = env.spec.num_envs
    left = numpy.full(num_envs, episodes // num_envs)
    left[: episodes % num_envs] += 1
    obs = env.reset()
    while left.any():
        step = env.step(policy(obs))
        valid = numpy.ones(num_envs, dtype=bool) if step.valid is None else step.valid.cpu().numpy()
        dones = step.dones.cpu().numpy()
        counted = dones & (left > 0)
        yield PlayedStep(obs, step, valid, dones, counted)
        left -= counted
        policy.reset(step.resets)
        obs = step.obs


def returns_and_lengths(env: Env, policy: InferencePolicy, episodes: int) -> tuple[list[float], list[int]]:
    """Returns and lengths of whole episodes; a warning where none ends for very long."""
    running_returns = numpy.zeros(env.spec.num_envs)
    running_lengths = numpy.zeros(env.spec.num_envs, dtype=numpy.int64)
    returns: list[float] = []
    lengths: list[int] = []
    waited = 0
    for played in play(env, policy, episodes):
        waited = 0 if played.counted.any() else waited + 1
        if waited == PATIENCE:
            limit = env.spec.max_episode_length
            _log.warning(
                "no episode that counts has ended in the last %s steps, and the env has %s; to evaluate it with "
                "another one, stop this by Ctrl-C and set it among the env's options, as env.KEY=VALUE",
                f"{PATIENCE:,}",
                "no time limit" if limit is None else f"a time limit of {limit:,} steps",
            )
        running_returns += played.step.rewards.cpu().numpy() * played.valid
        running_lengths += played.valid
        returns += running_returns[played.counted].tolist()
        lengths += running_lengths[played.counted].tolist()
        running_returns[played.dones], running_lengths[played.dones] = 0.0, 0
    return returns, lengths
