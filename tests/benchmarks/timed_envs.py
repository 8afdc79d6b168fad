"""Gymnasium's vector envs with a clock: when which mean return was reached, the same way for every library.

`timed/CartPole-v1` is Gymnasium's own vectorised version, `timed/HalfCheetah-v5` a `SyncVectorEnv` that resets in the
same step. Importing this module registers both. The vectorised CartPole spends a step on each reset; libraries that
cannot tell such a row from a transition are given it in a wrapper that resets at once.

Legend: N envs.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import attrs
import gymnasium
import numpy
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from rslcore_gymnasium.vectors import reset_some


@attrs.frozen
class Task:
    """What is to be reached.

    Attributes:
        recipe: Name of the recipe, whose hyper-parameters all libraries have.
        id: Of the env.
        target: Mean return of the latest `window` training episodes.
        window: Number of episodes.
        episode_length: Of every episode, where all are of the same length.
        max_steps: Env steps of all envs after which a run is given up.
        seeds: How many runs of each library are compared.
    """

    recipe: str
    id: str
    target: float
    window: int
    episode_length: int | None
    max_steps: int
    seeds: int


TASKS = {
    "cartpole": Task("cartpole", "CartPole-v1", 475.0, window=100, episode_length=None, max_steps=500_000, seeds=5),
    "halfcheetah": Task(
        "halfcheetah", "HalfCheetah-v5", 3000.0, window=20, episode_length=1000, max_steps=500_000, seeds=3
    ),
}


class Stop(BaseException):
    """Ends a training from inside of its env; no library takes it for a failure of the env that it could survive."""


class TimedEnvs(VectorWrapper):
    """Notes seconds, env steps and mean return at the end of every episode, and stops the training at the target.

    Actions beyond the bounds of a Box are clipped to them.

    Args:
        envs: Stepped.
        task: Has the target.
    """

    latest: TimedEnvs
    """The one that was made last, for libraries that make their envs themselves."""

    def __init__(self, envs: VectorEnv, task: Task) -> None:
        super().__init__(envs)
        TimedEnvs.latest = self
        self._task = task
        self._bounds = (envs.action_space.low, envs.action_space.high) if isinstance(envs.action_space, Box) else None
        self._returns = numpy.zeros(envs.num_envs)
        self._episodes: deque[float] = deque(maxlen=task.window)
        self._started = (0.0, 0.0)
        self.steps = 0
        self.rows: list[tuple[float, float, int, float]] = []
        self.reached = False

    def start(self) -> None:
        """The training begins now."""
        self._started = time.perf_counter(), time.process_time()

    def reset(self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start new episodes.

        Those of a fixed length begin at different steps of it: they would all end at once else, and the mean return
        would be known that often only.
        """
        obs, infos = self.env.reset(seed=seed, options=options)
        if self._task.episode_length is not None:
            steps = numpy.arange(self.num_envs) * self._task.episode_length // self.num_envs
            self.env.set_attr("_elapsed_steps", steps.tolist())
        return obs, infos

    def step(self, actions: Any) -> Any:
        """Step, and count. Rows that only reset have no reward, and are counted as steps."""
        if self._bounds is not None:
            actions = numpy.clip(actions, *self._bounds)
        results = self.env.step(actions)
        _, rewards, terminated, truncated, _ = results
        self.steps += self.num_envs
        self._returns += rewards
        ended = numpy.logical_or(terminated, truncated)
        if ended.any():
            self._episodes.extend(self._returns[ended].tolist())
            self._returns[ended] = 0.0
            self._note()
        if self.reached or self.steps >= self._task.max_steps:
            raise Stop
        return results

    def _note(self) -> None:
        mean = sum(self._episodes) / len(self._episodes)
        seconds, cpu_seconds = time.perf_counter() - self._started[0], time.process_time() - self._started[1]
        self.rows.append((seconds, cpu_seconds, self.steps, mean))
        self.reached = len(self._episodes) == self._task.window and mean >= self._task.target


class ResetsAtOnce(VectorWrapper):
    """The vectorised CartPole, which resets with the next step, made to reset in the same one."""

    def step(self, actions: Any) -> Any:
        """Step, and start new episodes where some ended; infos hold the last observations of these."""
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        ended = numpy.logical_or(terminated, truncated)
        if ended.any():
            infos = {"final_obs": obs, "_final_obs": ended}
            obs = reset_some(self.env.unwrapped, ended)
        return obs, rewards, terminated, truncated, infos


def make_timed_envs(name: str, num_envs: int, resets_at_once: bool = True) -> TimedEnvs:
    """The vector envs of a task, as its recipe makes them.

    Args:
        name: Of the task.
        num_envs: N.
        resets_at_once: Whether the vectorised CartPole shall do so.
    """
    task = TASKS[name]
    if name == "halfcheetah":
        mode = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}}
        return TimedEnvs(gymnasium.make_vec(task.id, num_envs=num_envs, **mode), task)
    envs = gymnasium.make_vec(task.id, num_envs=num_envs, vectorization_mode="vector_entry_point")
    return TimedEnvs(ResetsAtOnce(envs) if resets_at_once else envs, task)


for _name, _task in TASKS.items():
    gymnasium.register(f"timed/{_task.id}", vector_entry_point=make_timed_envs, kwargs={"name": _name})
