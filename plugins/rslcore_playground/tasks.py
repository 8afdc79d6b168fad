"""MuJoCo Playground's registry of tasks, with errors that say what to do."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from rslcore.errors import ConfigError, MissingExtraError, listed, nearest


def import_playground(module: str = "") -> Any:
    """Playground, or a module of it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(f"mujoco_playground{module}")
    except ImportError as error:
        raise MissingExtraError(
            "env 'playground' needs a package that is not installed; type `pip install 'rslcore[playground]'` "
            f"({error})"
        ) from error


def task_settings(task: str, changes: Mapping[str, Any], at: str) -> Any:
    """The configuration of a task, changed.

    Args:
        task: Its name.
        changes: New values by dotted name.
        at: Place of the env in the run's config, for messages.

    Raises:
        MissingExtraError: Playground is not installed.
        ConfigError: There is no such task, or its configuration does not take the changes.
    """
    registry = import_playground().registry
    if task not in registry.ALL_ENVS:
        known = f"{nearest(task, registry.ALL_ENVS)} (tasks: {listed(sorted(registry.ALL_ENVS))})"
        raise ConfigError.at(f"{at}.task", f"Playground has no task '{task}'{known}")
    settings = registry.get_default_config(task)
    settings.lock()  # or it takes unknown names, and nobody reads them
    try:
        settings.update_from_flattened_dict(_flat(changes))
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError.at(f"{at}.changes", f"the task's configuration does not take them ({reason})") from error
    return settings


def _flat(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes by dotted name; those of the command line are nested."""
    flat: dict[str, Any] = {}
    for name, value in changes.items():
        inner = _flat(value) if isinstance(value, Mapping) else None
        flat |= {name: value} if inner is None else {f"{name}.{last}": each for last, each in inner.items()}
    return flat


def agent_settings(task: str) -> dict[str, Any]:
    """What Playground gives rsl_rl's runner for a task; of a task of no robot, what it gives those that walk."""
    of_hands = task in import_playground().manipulation.ALL_ENVS
    settings = import_playground(f".config.{'manipulation' if of_hands else 'locomotion'}_params")
    plain: dict[str, Any] = settings.rsl_rl_config(task).to_dict()
    return plain
