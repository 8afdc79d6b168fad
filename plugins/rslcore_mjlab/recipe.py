"""The recipe `mjlab`: a task with its own agent's settings, translated from rsl_rl's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rslcore.errors import ConfigError, listed
from rslcore_mjlab.tasks import check_task, task_registry
from rslcore_rsl_rl.task_recipe import task_recipe


def make_recipe(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the task that is asked for.

    Args:
        asked: The overrides; `env.task` names the task.

    Raises:
        MissingExtraError: mjlab is not installed.
        ConfigError: No task is named, there is none of that name, or its settings cannot be translated.
    """
    registry = task_registry()
    env = asked.get("env")
    task = env.get("task") if isinstance(env, Mapping) else None
    if not isinstance(task, str):
        tasks = registry.list_tasks()
        raise ConfigError.at("env.task", f"name a task, as in env.task={tasks[0]} (tasks: {listed(tasks)})")
    check_task(registry, task, "env.task")
    agent = dataclasses.asdict(registry.load_rl_cfg(task))
    task_cfg = registry.load_env_cfg(task)
    of_env = {"name": "mjlab", "task": task, "num_envs": task_cfg.scene.num_envs}
    step_dt = task_cfg.sim.mujoco.timestep * task_cfg.decimation
    return task_recipe(agent, of_env, task_cfg.observations, step_dt)
