"""The recipe `isaaclab`: a task with its own agent's settings, translated from rsl_rl's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rslcore.device import resolve_device
from rslcore.errors import ConfigError
from rslcore_isaaclab.app import import_isaaclab, launch
from rslcore_isaaclab.config import AGENT_SETTINGS
from rslcore_isaaclab.tasks import ENV_SETTINGS, agent_settings, find_task, observation_groups
from rslcore_rsl_rl.task_recipe import task_recipe


def make_recipe(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the task that is asked for. Starts Isaac Sim, which the task's settings cannot be read without.

    Args:
        asked: The overrides; `env.task` names the task.

    Raises:
        MissingExtraError: Isaac Lab is not installed.
        ConfigError: No task is named, there is none of that name, or its settings cannot be translated.
    """
    given = asked.get("env")
    env: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    if not isinstance(env.get("task"), str):
        raise ConfigError.at("env.task", "name a task, as in env.task=Isaac-Cartpole-v0")
    device = resolve_device(str(asked.get("device", "auto")))
    launch(bool(env.get("headless", True)), bool(env.get("enable_cameras", False)), device)
    task = find_task(env["task"], "env.task")
    agent = agent_settings(task, str(env.get("agent", AGENT_SETTINGS)), "env.agent")
    task_cfg = import_isaaclab("isaaclab_tasks.utils").load_cfg_from_registry(task, ENV_SETTINGS)
    of_env = {"name": "isaaclab", "task": env["task"], "num_envs": task_cfg.scene.num_envs}
    return task_recipe(agent, of_env, observation_groups(task_cfg), task_cfg.sim.dt * task_cfg.decimation)
