"""An env of rsl_rl's kind, whichever project it comes from, as an rslcore Env.

There is nothing to inherit from: what such an env has is looked at when it is handed over (`members.py`), and what it
gives is read in all forms that rsl_rl has had (`observations.py`, `extras.py`).

Legend: N envs, A actions.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.errors import CheckpointError, ConfigError, EnvError, RslcoreError
from rslcore.protocols import EnvStep
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore_rsl_rl import members
from rslcore_rsl_rl.extras import FINAL_KEYS, FINAL_SETTINGS, find_final, read_final, read_log
from rslcore_rsl_rl.members import name_of, reason_of
from rslcore_rsl_rl.observations import chosen_rows, group_problems, read_groups, tensors_of, to_observations
from rslcore_rsl_rl.steps import read_step, take_apart

_log = logging.getLogger(__name__)


class VecEnvAdapter:
    """N environments of Isaac Lab, mjlab, Genesis, MuJoCo Playground, legged_gym, or of your own.

    The wrappers of these projects reset when they are made, and rsl_rl asks for the first observations once. So does
    this, in the constructor: asking again may draw new noise, and resets the simulation of MuJoCo Playground.

    All that is given is a copy on the device of the run, since these envs write into the same tensors again.
    Observations of any floating type become float32.

    Args:
        env: What rsl_rl's runner takes as `env`. It is left open to the caller as the attribute `env`.
        device: Of the run; actions are moved to the env's, and what it gives is moved here.
        final_obs: Whether `extras` hold the true last observations of episodes wherever some end. None to believe the
            env's `cfg`: a policy is built for the answer before the first episode ends. With them, whether episodes
            have ended is read on the host at every step.
        action_names: What each action moves; by default what the env's action manager or its cfg says, if one does.

    Raises:
        EnvError: The env lacks something or gives something that no project's env does, here or later; or its own code
            fails.
    """

    reset_envs: Callable[[Tensor], TensorDict]
    """As `rslcore.protocols.PartialResetEnv` has it; only there for an env that can reset some of its envs."""

    def __init__(
        self, env: Any, device: torch.device, final_obs: bool | None = None, action_names: tuple[str, ...] = ()
    ) -> None:
        members.check_members(env)
        self.env = env
        self._device = device
        self._num_envs = members.count_of(env, "num_envs")
        self._closed = False
        if final_obs is None:
            final_obs = any(bool(members.setting(env, name)) for name in FINAL_SETTINGS)
        self._is_of_rsl_rl_1 = _has(env, "get_privileged_observations")
        if self._is_of_rsl_rl_1 and _has(env, "reset"):
            self._call("reset")  # as the runner of rsl_rl 1.x did; before, observations are zeros
        groups = self._ask()
        self._env_device = torch.device(getattr(env, "device", None) or next(iter(groups.values())).device)
        self._first: TensorDict | None = to_observations(groups, self._num_envs, device)
        self._latest = self._first
        low, high = members.action_bounds(env)
        num_actions = members.count_of(env, "num_actions")
        self.spec = EnvSpec(
            num_envs=self._num_envs,
            observations={name: _spec_of(group) for name, group in tensors_of(self._first).items()},
            actions=ActionSpec(
                num_actions,
                low=(low,) * num_actions,
                high=(high,) * num_actions,
                names=action_names or members.action_names(env),
            ),
            max_episode_length=members.step_limit(env),
            keeps_final_obs=final_obs,
        )
        self._hinted = final_obs
        if _resets_some(self.unwrapped):
            self.reset_envs = self._reset_envs

    def __getattr__(self, name: str) -> Any:
        """What an rslcore Env has not is the env's own, for functions of a user's that are given this one."""
        if name in ("env", "reset_envs") or name.startswith(
            "__"
        ):  # not there yet; not to be mistaken for ours; copying
            raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'")
        return getattr(self.env, name)

    @property
    def unwrapped(self) -> Any:
        """The env inside of the project's wrapper, as functions of a user's ask for it."""
        return getattr(self.env, "unwrapped", self.env)

    def reset(self) -> TensorDict:
        """The first observations `[N, ...]`, of the episodes that began when the env was made; later, new episodes.

        Raises:
            EnvError: It is not the first call, and the env has no `reset`.
        """
        if self._first is None:
            if _has(self.env, "reset"):
                self._latest = to_observations(self._groups("reset", self._call("reset")), self._num_envs, self._device)
            elif _has(self.unwrapped, "reset"):  # the wrapper of some versions of Isaac Lab has none
                self._call("reset", owner=self.unwrapped)
                return self.observe()
            else:
                raise EnvError(f"env '{self._name}' has no `reset`, so its episodes cannot begin anew; make it again")
        obs, self._first = self._latest, None
        return obs

    def observe(self) -> TensorDict:
        """The observations to act on next `[N, ...]`, asked for anew, as rsl_rl does at the beginning of each `learn`.

        For a script that steps the env itself in between; with MuJoCo Playground, all episodes begin anew.
        """
        self._first = None
        self._latest = to_observations(self._ask(), self._num_envs, self._device)
        return self._latest

    @torch.no_grad()
    def step(self, actions: Tensor) -> EnvStep:
        """Apply actions `[N, A]`."""
        self._first = None
        given = self._call("step", actions.detach().to(self._env_device))
        obs, privileged, rewards, dones, extras = self._read("step", take_apart, given, self._is_of_rsl_rl_1)
        return self.to_step(obs, rewards, dones, extras, privileged)

    def to_step(
        self, obs: object, rewards: object, dones: object, extras: object, privileged: object = None
    ) -> EnvStep:
        """What a step of the env has given, as rslcore has it; for whoever steps the env itself."""
        raw, problems = self._read("step", read_step, obs, privileged, rewards, dones, extras, self._num_envs)
        if problems:
            raise self._fault("step", problems)
        now = self._latest = to_observations(raw.groups, self._num_envs, self._device)
        ended = raw.dones.to(self._device, torch.bool, copy=True)
        # Some envs write time-outs only where they reset, so those of an earlier step may still be there.
        truncated = ended & (False if raw.time_outs is None else raw.time_outs.to(self._device).bool())
        log = read_log(raw.extras, self._device)
        return EnvStep(
            obs=now,
            rewards=raw.rewards.detach().to(self._device, torch.float32, copy=True),
            terminated=ended & ~truncated,
            truncated=truncated,
            final_obs=self._final_obs(raw.extras, now, ended),
            extras={"log": log} if log else {},
        )

    def to_observations(self, given: object) -> TensorDict:
        """Observations that the env has given, as groups `[N, ...]`; for whoever asks the env itself."""
        return to_observations(self._groups("get_observations", given), self._num_envs, self._device)

    def randomize_episode_steps(self) -> None:
        """Take the running episodes to be under way already, each by a random number of steps, as rsl_rl does.

        Raises:
            ConfigError: The env does not show its steps, or has no limit.
        """
        at, buffer = "runner.init_at_random_ep_len", getattr(self.env, "episode_length_buf", None)
        limit = getattr(self.env, "max_episode_length", None)
        if not isinstance(buffer, Tensor):
            lacks = f"env '{self._name}' has no `episode_length_buf`, a tensor with the steps of each episode"
            raise ConfigError.at(at, f"{lacks}, as the envs of all projects but MuJoCo Playground have; write false")
        if limit is None:
            raise ConfigError.at(at, f"env '{self._name}' has no `max_episode_length` to be random below; write false")
        if isinstance(limit, Tensor) and limit.numel() > 1:
            steps = (torch.rand(buffer.shape, device=buffer.device) * limit.to(buffer.device)).to(buffer.dtype)
        else:
            steps = torch.randint_like(buffer, high=int(limit))
        try:
            self.env.episode_length_buf = steps
        except AttributeError as error:
            raise ConfigError.at(
                at, f"`episode_length_buf` of env '{self._name}' cannot be set; write false"
            ) from error

    def state_dict(self) -> dict[str, Any] | None:
        """What the env's own `state_dict` gives; None for an env that has none, as those of all projects today."""
        if not (_has(self.env, "state_dict") and _has(self.env, "load_state_dict")):
            return None
        state = self._call("state_dict")
        return None if state is None else {"num_envs": self._num_envs, "env": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`.

        Raises:
            CheckpointError: The state is of another number of envs, or the env has no `load_state_dict`; then nothing
                has changed.
        """
        if not _has(self.env, "load_state_dict"):
            raise CheckpointError(f"env '{self._name}' has no `load_state_dict`")
        if not {"num_envs", "env"} <= state.keys() or state["num_envs"] != self._num_envs:
            raise CheckpointError(f"the saved state is not one of {self._num_envs} envs of rsl_rl's kind")
        self._call("load_state_dict", state["env"])
        self._first = None

    def close(self) -> None:
        """Close the env, if it can be closed."""
        if not self._closed and _has(self.env, "close"):
            self.env.close()
        self._closed = True

    @property
    def _name(self) -> str:
        return name_of(self.env)

    def _ask(self) -> dict[str, Tensor]:
        privileged = None
        if self._is_of_rsl_rl_1:
            privileged = self._call("get_privileged_observations")
        return self._groups("get_observations", self._call("get_observations"), privileged)

    def _groups(self, method: str, given: object, privileged: object = None) -> dict[str, Tensor]:
        groups: dict[str, Tensor] = self._read(method, read_groups, given, privileged)
        if problems := group_problems(groups, self._num_envs):
            raise self._fault(method, problems)
        return groups

    def _final_obs(self, extras: Mapping[str, Any], obs: TensorDict, ended: Tensor) -> TensorDict | None:
        if not self.spec.keeps_final_obs:
            if not self._hinted and (key := find_final(extras)) is not None:
                self._hinted = True
                _log.info("env '%s' gives final observations (%s); they are used with final_obs: true", self._name, key)
            return None
        if not bool(ended.any()):
            return None
        final_obs: TensorDict | None = self._read("step", read_final, extras, obs, ended)
        if final_obs is None:
            keys = ", ".join(f"'{key}'" for key in FINAL_KEYS)
            lacks = f"episodes have ended, and the extras have none of {keys}; write final_obs: false"
            raise self._fault("step", [lacks])
        return final_obs

    def _reset_envs(self, envs: Tensor) -> TensorDict:
        """Start new episodes in the envs that are True in `envs [N]`, bool, which is read on the host."""
        chosen = envs.nonzero()[:, 0]
        if len(chosen):
            self._call("reset", owner=self.unwrapped, env_ids=chosen.to(self._env_device))
            last = self._latest
            self._latest = chosen_rows(envs, tensors_of(self.observe()), last)
        return self._latest

    def _call(self, method: str, *arguments: Any, owner: Any = None, **named: Any) -> Any:
        """Call the env, and say of an exception in its code that it is the env's."""
        try:
            return getattr(self.env if owner is None else owner, method)(*arguments, **named)
        except RslcoreError:
            raise
        except Exception as error:
            raise EnvError(f"env '{self._name}' failed in {method}: {reason_of(error)}") from error

    def _read(self, method: str, read: Callable[..., Any], *given: Any) -> Any:
        """Read what the env gave in a call, and say whose it is where it cannot be read."""
        try:
            return read(*given)
        except EnvError as error:
            raise self._fault(method, [str(error)]) from None

    def _fault(self, method: str, problems: list[str]) -> EnvError:
        lines = "".join(f"\n  {problem}" for problem in problems)
        return EnvError(f"env '{self._name}' gives in {method} what no env of rsl_rl's kind does:{lines}")


def _has(env: Any, method: str) -> bool:
    return callable(getattr(env, method, None))


def _resets_some(env: Any) -> bool:
    """Whether the env inside of a wrapper has `reset(env_ids=...)`, as those with managers have."""
    return _has(env, "reset") and "env_ids" in inspect.signature(env.reset).parameters


def _spec_of(group: Tensor) -> TensorSpec:
    return TensorSpec(tuple(group.shape[1:]), str(group.dtype).removeprefix("torch."))
