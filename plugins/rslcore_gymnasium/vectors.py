"""What Gymnasium's vector envs have no call for: saving their state, and resetting some of their envs.

Legend: N envs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import iterate

from rslcore_gymnasium.state import CARTPOLE_VECTOR, StateWrapper, class_name, describe, load, save

Mask = numpy.ndarray[Any, numpy.dtype[numpy.bool_]]


def describe_envs(envs: VectorEnv) -> list[Any]:
    """What the state of `save_envs` is of, to be compared with what another vector env says."""
    return list(envs.call("describe_state")) if _is_wrapped(envs) else [describe(envs)]


def save_envs(envs: VectorEnv) -> dict[str, Any] | None:
    """All that the next steps of N envs depend on; None if they cannot say. It may share memory with the envs.

    What a vector env itself keeps between steps matters in next-step autoreset only, but for the last observations,
    which a reset of some envs returns for the others.
    """
    if _is_wrapped(envs):
        states, obs = list(envs.call("save_state")), _last_observations(envs)
    else:
        states, obs = [save(envs)], None
    return None if any(state is None for state in states) else {"envs": states, "obs": obs}


def load_envs(envs: VectorEnv, state: Mapping[str, Any]) -> None:
    """The inverse of `save_envs`, where `describe_envs` says the same."""
    if _is_wrapped(envs):
        envs.set_attr("state_to_load", state["envs"])
        envs.call("load_state")
        _write(_last_observations(envs), state["obs"])
        if isinstance(envs, SyncVectorEnv):
            envs._env_obs = list(iterate(envs.observation_space, state["obs"]))
    else:
        load(envs, state["envs"][0])


def can_reset_some(envs: VectorEnv) -> bool:
    """Whether `reset_some` knows how."""
    return isinstance(envs, SyncVectorEnv | AsyncVectorEnv) or class_name(envs) == CARTPOLE_VECTOR


def reset_some(envs: VectorEnv, mask: Mask) -> Any:
    """Start new episodes where `mask [N]` is True; the observations of all N envs, the last ones elsewhere."""
    if isinstance(envs, SyncVectorEnv | AsyncVectorEnv):
        return envs.reset(options={"reset_mask": mask})[0] if mask.any() else _last_observations(envs)
    cartpole: Any = envs
    bounds = {"low": cartpole.low, "high": cartpole.high}
    cartpole.state[:, mask] = cartpole.np_random.uniform(**bounds, size=(4, mask.sum()))
    cartpole.steps[mask] = 0
    cartpole.prev_done[mask] = False
    return cartpole.state.T.astype(numpy.float32)


def _is_wrapped(envs: VectorEnv) -> TypeGuard[SyncVectorEnv | AsyncVectorEnv]:
    """Whether each env is in a `StateWrapper`; those that an env's own vectorised version makes are not."""
    assert envs.spec is not None
    return isinstance(envs, SyncVectorEnv | AsyncVectorEnv) and StateWrapper in envs.spec.kwargs.get("wrappers", ())


def _last_observations(envs: SyncVectorEnv | AsyncVectorEnv) -> Any:
    """The array, or dict of them, that the vector env itself writes into."""
    return envs._observations if isinstance(envs, SyncVectorEnv) else envs.observations


def _write(target: Any, source: Any) -> None:
    for name in target if isinstance(target, dict) else (...,):
        target[name][...] = source[name]
