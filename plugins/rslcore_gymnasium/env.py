"""A Gymnasium vector env as an rslcore Env.

Legend: N envs, A actions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import CheckpointError, ConfigError, EnvError
from rslcore.protocols import EnvStep
from rslcore.specs import EnvSpec
from rslcore_gymnasium.arrays import to_arrays, to_tensors
from rslcore_gymnasium.config import GymnasiumConfig
from rslcore_gymnasium.faults import describe_fault
from rslcore_gymnasium.make import make_vector_env
from rslcore_gymnasium.spaces import DEFAULT_GROUP, action_converter, action_spec, observation_specs
from rslcore_gymnasium.vectors import can_reset_some, describe_envs, load_envs, reset_some, save_envs

_NUMPY_DTYPES = {
    torch.bool: numpy.bool_,
    torch.uint8: numpy.uint8,
    torch.int8: numpy.int8,
    torch.int16: numpy.int16,
    torch.int32: numpy.int32,
    torch.int64: numpy.int64,
    torch.float32: numpy.float32,
}


class GymnasiumEnv:
    """N environments of one id.

    A Box of observations becomes the group `policy`, a Dict of Boxes one group a key. Float observations arrive as
    float32, all others as they are.

    Args:
        config: The options.
        context: Gives the device and the seed.

    Raises:
        ConfigError: There is no such env, or its spaces are not supported.
        MissingExtraError: A package that the env needs is not installed.
        EnvError: The env's own code fails, here or in `reset` or `step`.
    """

    def __init__(self, config: GymnasiumConfig, context: Context) -> None:
        self._id = config.id
        self._entries = {name: numpy.array(entries) for name, entries in config.groups.items()}
        self._envs = make_vector_env(config, context)
        self._failed = False
        self._device = context.device
        self._seed: int | None = context.seed
        self._resets_next_step = self._envs.metadata.get("autoreset_mode") == AutoresetMode.NEXT_STEP
        self._was_done = numpy.zeros(config.num_envs, dtype=numpy.bool_)
        try:
            self.spec = EnvSpec(
                num_envs=config.num_envs,
                observations=observation_specs(self._envs.single_observation_space, config.groups, context),
                actions=action_spec(self._envs.single_action_space, config.rescale_actions, context),
                max_episode_length=self._find_limit(config),
            )
        except ConfigError:
            self._envs.close()
            raise
        self._dtypes = {group: getattr(torch, spec.dtype) for group, spec in self.spec.observations.items()}
        space = self._envs.single_action_space
        self._convert_actions = action_converter(space, config.num_envs, config.rescale_actions)

    def reset(self) -> TensorDict:
        """Start N new episodes; the first call seeds env i with the run's seed + i."""
        with self._named_errors("reset"):
            obs, _ = self._envs.reset(seed=self._seed)
        self._seed = None
        self._was_done.fill(False)
        return self._to_tensors(obs)

    def step(self, actions: Tensor) -> EnvStep:
        """Apply actions `[N, A]`."""
        with self._named_errors("step"):
            raw_obs, rewards, terminated, truncated, infos = self._envs.step(self._convert_actions(actions))
        obs = self._to_tensors(raw_obs)
        dones = numpy.logical_or(terminated, truncated)
        final_obs, valid = None, None
        if self._resets_next_step:
            # The observation of an ended episode comes as it is; the step after it only resets, whatever the action.
            final_obs = obs if dones.any() else None
            valid = self._to_tensor(~self._was_done, torch.bool) if self._was_done.any() else None
            self._was_done = dones
        elif dones.any():
            final_obs = self._with_final(obs, infos["final_obs"], numpy.flatnonzero(dones))
        return EnvStep(
            obs=obs,
            rewards=self._to_tensor(rewards, torch.float32),
            terminated=self._to_tensor(terminated, torch.bool),
            truncated=self._to_tensor(truncated, torch.bool),
            final_obs=final_obs,
            valid=valid,
        )

    def randomize_episode_steps(self) -> None:
        """Take the running episodes to be under way already, each by a random number of steps."""
        at, limit = "runner.init_at_random_ep_len", self.spec.max_episode_length
        if limit is None:
            raise ConfigError.at(at, f"'{self._id}' has no limit of steps to be random below")
        steps = torch.randint(limit, (self.spec.num_envs,)).numpy()
        if isinstance(self._envs, SyncVectorEnv | AsyncVectorEnv):
            with self._named_errors("randomize_episode_steps"):
                self._envs.set_attr("_elapsed_steps", steps.tolist())
            return
        # Gymnasium's own vectorised envs count for all envs in one array.
        counts = getattr(self._envs.unwrapped, "steps", None)
        if not isinstance(counts, numpy.ndarray) or counts.shape != steps.shape:
            raise ConfigError.at(at, f"the vectorised version of '{self._id}' does not show its steps; write sync")
        counts[:] = steps

    def reset_envs(self, envs: Tensor) -> TensorDict:
        """Start new episodes in the envs that are True in `envs [N]`, bool; observations of all, to act on next.

        Raises:
            ConfigError: It is an env's own vectorised version, and not that of CartPole.
        """
        if not can_reset_some(self._envs):
            raise ConfigError.at(
                "env.vectorization", f"the vectorised version of '{self._id}' cannot reset some of its envs; write sync"
            )
        mask = envs.cpu().numpy()
        with self._named_errors("reset"):
            obs = reset_some(self._envs, mask)
        self._was_done = self._was_done & ~mask
        return self._to_tensors(obs)

    def state_dict(self) -> dict[str, Any] | None:
        """All that the next steps depend on; None where the env, or a wrapper of it, cannot be saved."""
        with self._named_errors("state_dict"):
            envs = save_envs(self._envs)
            if envs is None:
                return None
            saved: dict[str, Any] = to_tensors({**envs, "was_done": self._was_done})
        return {"id": self._id, "num_envs": self.spec.num_envs, **saved}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put envs that were just made where others were.

        Raises:
            CheckpointError: The state is of other envs, or of another number of them; then nothing has changed.
            EnvError: The env's own `load_state_dict` fails.
        """
        self._check_state(state)
        with self._named_errors("load_state_dict"):
            arrays = to_arrays(state)
            load_envs(self._envs, arrays)
        self._was_done = arrays["was_done"]
        self._seed = None  # a later reset goes on with the generators as they are

    def _check_state(self, state: Mapping[str, Any]) -> None:
        if not {"id", "num_envs", "envs"} <= state.keys():
            raise CheckpointError(f"the saved state of the envs is not one of '{self._id}'")
        saved, now = (
            f"{num} envs '{id}'" for id, num in ((state["id"], state["num_envs"]), (self._id, self.spec.num_envs))
        )
        if saved != now:
            raise CheckpointError(f"the saved state is of {saved}, the run has {now}; give it as many of the same env")
        names, expected = [env["names"] for env in state["envs"]], describe_envs(self._envs)
        if names != expected:
            raise CheckpointError(
                f"the saved state of '{self._id}' is of {names[0]}, the env is now {expected[0]}; give the run the "
                "same vectorization and kwargs"
            )

    def _find_limit(self, config: GymnasiumConfig) -> int | None:
        """The time limit: the env's own, unless the config gives another one."""
        limit: int | None = config.kwargs.get("max_episode_steps")
        if limit is None and self._envs.spec is not None:
            limit = self._envs.spec.max_episode_steps
        return None if limit == -1 else limit  # Gymnasium's word for no limit

    def close(self) -> None:
        """Close the envs."""
        # Workers that have failed do not answer; an env's own vectorised version need not know the word.
        terminate = {"terminate": self._failed} if isinstance(self._envs, AsyncVectorEnv) else {}
        with contextlib.suppress(BrokenPipeError, EOFError, ConnectionResetError):  # of workers that have died already
            self._envs.close(**terminate)

    @contextlib.contextmanager
    def _named_errors(self, call: str) -> Iterator[None]:
        """Say of an exception in the env's own code that it is the env's."""
        try:
            yield
        except Exception as error:
            self._failed = True
            raise EnvError(f"env '{self._id}' failed in {call}: {describe_fault(error, self._envs)}") from error

    def _to_tensors(self, obs: Any) -> TensorDict:
        groups = self._split(obs)
        tensors = {name: self._to_tensor(group, self._dtypes[name]) for name, group in groups.items()}
        # Of as many envs as there are: where they have become fewer, the run says so.
        return TensorDict(tensors, batch_size=[len(next(iter(tensors.values())))])

    def _split(self, obs: Any) -> dict[str, Any]:
        """An observation, of one env or of all, as groups."""
        if isinstance(obs, dict):
            return obs
        if self._entries:
            return {name: obs[..., entries] for name, entries in self._entries.items()}
        return {DEFAULT_GROUP: obs}

    def _to_tensor(self, array: numpy.ndarray[Any, Any], dtype: torch.dtype) -> Tensor:
        # A copy, always: vector envs write into the same arrays at every step. NumPy copies faster than torch does.
        return torch.from_numpy(numpy.array(array, dtype=_NUMPY_DTYPES[dtype])).to(self._device)

    def _with_final(self, obs: TensorDict, final: Any, ended: numpy.ndarray[Any, Any]) -> TensorDict:
        """Observations in which the rows of ended episodes hold their last observation."""
        rows = torch.from_numpy(ended).to(self._device)
        last = [self._split(final[index]) for index in ended]
        replaced = obs.clone()
        for name, dtype in self._dtypes.items():
            values = numpy.stack([groups[name] for groups in last])
            replaced[name].index_copy_(0, rows, self._to_tensor(values, dtype))
        return replaced
