"""What each process of a run alone has, as a checkpoint holds it: generators, envs, what is remembered of episodes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from tensordict import TensorDict

from rslcore.distributed import num_ranks, rank
from rslcore.errors import CheckpointError
from rslcore.protocols import Algorithm, Env, StatefulEnv
from rslcore.run.checkpoint import Checkpoint
from rslcore.seeding import get_rng_state

_log = logging.getLogger(__name__)


@attrs.frozen
class LocalState:
    """What this process goes on with, beside the algorithm's state.

    Attributes:
        rng: State of the random number generators; None for those of a fresh run.
        obs: Observations `[N, ...]` that are to be acted on; None where the envs begin new episodes.
        runner: What the runner had of the running episodes; empty where the envs begin new ones.
    """

    rng: Mapping[str, Any] | None = None
    obs: TensorDict | None = None
    runner: Mapping[str, Any] = attrs.field(factory=dict)


def save_local_state(
    algorithm: Algorithm, env: Env, obs: TensorDict, runner: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """Plain data and tensors, between two iterations; `restore_local_state` is the inverse."""
    return {
        "rng": get_rng_state(device),
        "env": env.state_dict() if isinstance(env, StatefulEnv) else None,
        "obs": dict(obs.items()),
        "algorithm": algorithm.local_state_dict(),
        "runner": dict(runner),
    }


def restore_local_state(
    checkpoint: Checkpoint, algorithm: Algorithm, env: Env, env_name: str, device: torch.device
) -> LocalState:
    """Put algorithm and env where this rank was, as far as that is known; logs what begins anew, and why.

    Raises:
        CheckpointError: The state does not fit the algorithm.
    """
    state = checkpoint.ranks[rank()] if rank() < len(checkpoint.ranks) else {}
    num_envs = env.spec.num_envs
    saved, now = len(checkpoint.ranks), num_ranks()
    if saved > now:
        _log.warning("the run had %d ranks and has %d now: the envs of the others are left out", saved, now)
    if saved < now:
        _log.warning("the run had %d ranks and has %d now: the envs of the new ones begin new episodes", saved, now)
    if "algorithm" not in state:
        if rank() < saved:
            _log.warning("the checkpoint holds nothing of the envs: they begin new episodes")
        return LocalState(state.get("rng"))
    if checkpoint.env_spec.num_envs != num_envs:
        _log.warning(
            "the checkpoint was made with %d envs and there are %d now: they begin new episodes, and what was "
            "collected from those before is not learned from any more",
            checkpoint.env_spec.num_envs,
            num_envs,
        )
        return LocalState(state["rng"])
    why_anew = _put_back(env, state["env"])
    algorithm.load_local_state_dict(state["algorithm"], same_episodes=why_anew is None)
    if why_anew is not None:
        _log.warning("env '%s' begins new episodes: %s", env_name, why_anew)
        return LocalState(state["rng"])
    obs = {group: tensor.to(device) for group, tensor in state["obs"].items()}
    return LocalState(state["rng"], TensorDict(obs, batch_size=[num_envs]), state["runner"])


def _put_back(env: Env, state: Mapping[str, Any] | None) -> str | None:
    """Let an env go on from where it was; None, or why it cannot. It may be another one than before, by intent."""
    if state is None:
        return "it could not say where it was"
    if not isinstance(env, StatefulEnv):
        return "it cannot be put back where it was"
    try:
        env.load_state_dict(state)
    except CheckpointError as error:
        return str(error)
    return None
