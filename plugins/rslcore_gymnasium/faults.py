"""Why an env's own code has failed, in words: what it raised, or what it gave that Gymnasium could not put together."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import gymnasium
import numpy
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv, VectorEnv

_LIBRARIES = (Path(gymnasium.__file__).parent, Path(numpy.__file__).parent)


def describe_fault(error: Exception, envs: VectorEnv) -> str:
    """What went wrong, and where; for envs in this process, an observation that does not fit its space is named."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    reason = f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
    if not any(library in Path(frame.filename).parents for library in _LIBRARIES):
        return reason  # the env's own line
    if isinstance(envs, SyncVectorEnv):
        for index, obs in enumerate(envs._env_obs):
            if misfit := _misfit(obs, envs.single_observation_space):
                return f"env {index} {misfit}"
    return f"{reason}; an env's step gives an observation of its space, a number, two flags and a dict"


def _misfit(obs: Any, space: spaces.Space[Any], key: str = "") -> str:
    """What of an observation does not fit a space; empty if all does."""
    if isinstance(space, spaces.Dict):
        if not isinstance(obs, dict) or obs.keys() != space.spaces.keys():
            found = sorted(map(str, obs)) if isinstance(obs, dict) else type(obs).__name__
            return f"observes {found}, and its observation_space is of {sorted(space.spaces)}"
        return next(filter(None, (_misfit(obs[name], inner, name) for name, inner in space.spaces.items())), "")
    shape = list(numpy.shape(obs)) if obs is not None and space.shape is not None else None
    if shape is None or space.shape is None or shape == list(space.shape):
        return ""
    return f"observes {f'{key!r} ' if key else ''}of shape {shape}, and its observation_space says {list(space.shape)}"
