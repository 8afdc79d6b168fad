"""Trains a recipe of rslcore in timed envs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

from timed_envs import TASKS, TimedEnvs

import rslcore
from rslcore.config import load_config
from rslcore.registry import Registry, hookimpl


class Clock:
    """Starts the clock of the envs with the training."""

    @hookimpl
    def rslcore_run_started(self) -> None:
        """Everything is built."""
        TimedEnvs.latest.start()


def train(name: str, seed: int, overrides: Sequence[str] = ()) -> None:
    """Train until the envs stop it."""
    task = TASKS[name]
    # `execution: auto` goes by the length of a run, and the recipe's says what a user would see.
    mode = "eager" if name == "cartpole" else "auto"
    changes = [f"seed={seed}", f"env.id=timed/{task.id}", "iterations=1000000", "runner.save_interval=1000000"]
    changes.append(f"algorithm.execution={mode}")
    if name == "cartpole":
        changes.append("env.kwargs={resets_at_once: false}")  # rslcore tells rows that only reset from transitions
    registry = Registry.discover()
    registry.manager.register(Clock())
    config = load_config(task.recipe, [*changes, "loggers=[]", *overrides])
    with tempfile.TemporaryDirectory() as folder:
        rslcore.train(config, log_root=folder, quiet=True, registry=registry)
