"""The recipe `playground`: a task with its own agent's settings, translated from rsl_rl's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rslcore.errors import ConfigError
from rslcore_playground.tasks import agent_settings, import_playground, task_settings
from rslcore_rsl_rl.task_recipe import task_recipe


def make_recipe(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the task that is asked for.

    Args:
        asked: The overrides; `env.task` names the task.

    Raises:
        MissingExtraError: Playground is not installed.
        ConfigError: No task is named, there is none of that name, or its settings cannot be translated.
    """
    env = asked.get("env")
    task = env.get("task") if isinstance(env, Mapping) else None
    if not isinstance(task, str):
        raise ConfigError.at("env.task", "name a task, as in env.task=CartpoleBalance")
    settings = task_settings(task, {}, "env")
    loaded = import_playground().registry.load(task, config=settings)
    has_state = isinstance(loaded.observation_size, Mapping)  # beside it there is what only training sees
    groups = ["state", "privileged_state"] if has_state else ["state"]
    agent = {**agent_settings(task), "obs_groups": {"policy": ["state"], "critic": groups[-1:]}}
    config = task_recipe(agent, {"name": "playground", "task": task}, groups, loaded.dt)
    config["runner"]["init_at_random_ep_len"] = False  # its wrapper does not show its steps
    config["env"].pop("clip_actions")  # it clips them itself
    return config
