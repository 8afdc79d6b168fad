"""The tasks of Isaac Lab in Gymnasium's registry, with errors that say what to do."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

import gymnasium

from rslcore.errors import ConfigError, MissingExtraError, listed, nearest
from rslcore_isaaclab.app import import_isaaclab

ENV_SETTINGS = "env_cfg_entry_point"
"""The key that each task of Isaac Lab has in Gymnasium's registry, and nothing else."""


def find_task(task: str, at: str) -> str:
    """The id of a task, after the module before its colon, if any, was imported; Isaac Sim has to run.

    Args:
        task: `Isaac-Cartpole-v0`, or `module:Isaac-My-Task-v0`.
        at: Its place in the config, for messages.

    Raises:
        MissingExtraError: Isaac Lab is not installed.
        ConfigError: There is no such module or task.
    """
    import_isaaclab("isaaclab_tasks")
    module, _, name = task.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            hint = "install the package that brings the task, or put its folder on PYTHONPATH"
            raise ConfigError.at(at, f"'{task}': {error}; {hint}") from error
    tasks = [id for id, spec in gymnasium.registry.items() if ENV_SETTINGS in spec.kwargs]
    if name not in tasks:
        raise ConfigError.at(at, f"Isaac Lab has no task '{name}'{nearest(name, tasks)}")
    return name


def agent_settings(task: str, key: str, at: str) -> Mapping[str, Any]:
    """What the task gives rsl_rl's runner, as a dict, brought by Isaac Lab to the form of the rsl-rl-lib that is there.

    Raises:
        ConfigError: The task has no settings under this key.
        MissingExtraError: rsl-rl-lib is not installed.
    """
    kwargs = gymnasium.spec(task).kwargs
    if key not in kwargs:
        keys = [each for each in kwargs if each.endswith("cfg_entry_point") and each != ENV_SETTINGS]
        raise ConfigError.at(at, f"task '{task}' has no settings '{key}'{nearest(key, keys)} (it has: {listed(keys)})")
    settings = import_isaaclab("isaaclab_tasks.utils").load_cfg_from_registry(task, key)
    upgrade = getattr(import_isaaclab("isaaclab_rl.rsl_rl"), "handle_deprecated_rsl_rl_cfg", None)
    if upgrade is not None:
        try:
            installed = importlib.metadata.version("rsl-rl-lib")
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingExtraError(
                "Isaac Lab's settings for rsl_rl go by the version that is installed, and none is; type "
                "`pip install rsl-rl-lib`"
            ) from error
        settings = upgrade(settings, installed)
    plain: Mapping[str, Any] = settings if isinstance(settings, Mapping) else settings.to_dict()
    return plain


def observation_groups(task_cfg: Any) -> list[str]:
    """Names of a task's observation groups: those that a task with managers names; of a direct task `policy`, and
    `critic` if it has a state.
    """
    managed = getattr(task_cfg, "observations", None)
    if managed is not None:
        return [name for name, group in vars(managed).items() if group is not None and not name.startswith("_")]
    return ["policy", "critic"] if getattr(task_cfg, "state_space", None) else ["policy"]
