"""mjlab's registry of tasks, with errors that say what to do."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from rslcore.errors import ConfigError, MissingExtraError, listed, nearest


def task_registry() -> ModuleType:
    """Mjlab's registry, with all tasks that it and installed packages bring.

    Raises:
        MissingExtraError: mjlab is not installed.
    """
    try:
        importlib.import_module("mjlab.tasks")
        registry = importlib.import_module("mjlab.tasks.registry")
        warp: Any = importlib.import_module("warp")
    except ImportError as error:
        raise MissingExtraError(
            f"env 'mjlab' needs a package that is not installed; type `pip install 'rslcore[mjlab]'` ({error})"
        ) from error
    warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)  # or each kernel that is loaded is a line
    return registry


def check_task(registry: ModuleType, task: str, at: str) -> None:
    """Raises ConfigError, at a place of the config, if mjlab has no such task."""
    tasks = registry.list_tasks()
    if task not in tasks:
        raise ConfigError.at(at, f"mjlab has no task '{task}'{nearest(task, tasks)} (tasks: {listed(tasks)})")
