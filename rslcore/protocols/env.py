"""Env: N environments that are stepped at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensordict import TensorDict
    from torch import Tensor

    from rslcore.specs import EnvSpec


@attrs.define
class EnvStep:
    """What one step of N envs gave. An env that has ended is already reset (same-step autoreset).

    The tensors belong to the caller: the env does not write into them later.

    Attributes:
        obs: Observation groups `[N, ...]` to act on next; of a new episode where the last one ended.
        rewards: Reward of the step, `[N]`, float32.
        terminated: Whether the episode ended in a terminal state, `[N]`, bool: its future is worth nothing.
        truncated: Whether it was cut, by a time limit for one, `[N]`, bool: its future is worth V(final_obs).
        dones: `terminated | truncated`, `[N]`, bool.
        final_obs: True observation after the step, `[N, ...]`, where an episode ended; other rows equal `obs`. May be
            None where no episode ended; an env on a GPU, which would have to wait to know, gives them at every step.
            Always None for an env whose spec says that it does not keep final observations.
        valid: `[N]`, bool; False where the env ignored the action because it was resetting (the next-step autoreset of
            some vectorised envs). Such a row is no transition: nothing learns from it. None where all are valid.
        extras: Whatever else the env says. `extras["log"]` may hold scalars by name (`section/key`), which are logged,
            and `extras["episode"]` numbers `[N]` by name, which are summed over each episode and logged as
            `Episode/<name>`, or as the name is if it has a section.
    """

    obs: TensorDict
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    dones: Tensor = attrs.field(init=False)
    final_obs: TensorDict | None = None
    valid: Tensor | None = None
    extras: dict[str, Any] = attrs.field(factory=dict)

    @property
    def resets(self) -> Tensor:
        """Whether what is remembered of an env is to be forgotten before the next step, `[N]`, bool."""
        return self.dones if self.valid is None else self.dones | ~self.valid

    def __attrs_post_init__(self) -> None:
        self.dones = self.terminated | self.truncated


@runtime_checkable
class Env(Protocol):
    """N environments that are stepped at once, on one device."""

    @property
    def spec(self) -> EnvSpec:
        """Number of envs, observation groups and actions."""

    def reset(self) -> TensorDict:
        """Start N new episodes and return their first observations `[N, ...]`. The first call seeds the envs."""

    def step(self, actions: Tensor) -> EnvStep:
        """Apply `actions [N, A]`, as the spec has them; continuous ones are in [-1, 1] where the env is bounded."""

    def close(self) -> None:
        """Release what the envs hold. May be called twice."""


@runtime_checkable
class RandomStartEnv(Env, Protocol):
    """An env whose episodes can begin with some of their steps behind them."""

    def randomize_episode_steps(self) -> None:
        """Take the running episodes to be under way already, each by a random number of steps below its limit."""


@runtime_checkable
class StatefulEnv(Env, Protocol):
    """An env that can say where it is and be put back there, so that a resumed run goes on as if it had never stopped.

    Both may be called between any two steps. What the envs were put in is the state of their episodes, counters of
    steps and the env's own random generators among it; the generators of Python, NumPy and torch are saved by the run.
    """

    def state_dict(self) -> dict[str, Any] | None:
        """All that the next steps depend on, as tensors, plain containers, strings and scalars; a copy.

        None where the envs that it steps cannot say.
        """

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`, in an env that was just built; the next call is `step`.

        Raises CheckpointError, with the env as it was, if the state does not fit: another number of envs, another env.
        """


@runtime_checkable
class PartialResetEnv(Env, Protocol):
    """An env of which some episodes can be ended from outside."""

    def reset_envs(self, envs: Tensor) -> TensorDict:
        """Start new episodes in the envs that are True in `envs [N]`, bool.

        Where none is, nothing changes, no random generator either: a run that may need it later asks so whether it can.

        Returns the observations `[N, ...]` to act on next: of new episodes there, elsewhere those of the last step.

        Raises ConfigError if the envs that it steps cannot be reset alone, whatever is True.
        """
