"""Makes a task of mjlab as an rslcore env: mjlab's own wrapper for rsl_rl, adapted."""

from __future__ import annotations

import importlib
from typing import Any

from rslcore.context import Context
from rslcore_mjlab.config import MjlabConfig
from rslcore_mjlab.tasks import check_task, task_registry
from rslcore_rsl_rl.changes import apply_changes
from rslcore_rsl_rl.vec_env import VecEnvAdapter

ENDLESS = 1e6
"""Seconds of an episode that is meant to have no end; tasks of mjlab have 1e9 or 1e10 where they are played."""


def make_mjlab_env(config: MjlabConfig, context: Context) -> VecEnvAdapter:
    """N environments of a task, on the run's device, seeded with the run's seed.

    Raises:
        MissingExtraError: mjlab is not installed.
        ConfigError: There is no such task, or nothing of a name to be changed.
    """
    registry = task_registry()
    check_task(registry, config.task, f"{context.path}.task")
    task_cfg = registry.load_env_cfg(config.task, play=config.play)
    if config.play and task_cfg.episode_length_s >= ENDLESS:  # for a window that is closed; an evaluation would not end
        task_cfg.episode_length_s = registry.load_env_cfg(config.task).episode_length_s
    task_cfg.seed = context.seed
    if config.num_envs is not None:
        task_cfg.scene.num_envs = config.num_envs
    apply_changes(task_cfg, config.changes, f"{context.path}.changes")
    envs: Any = importlib.import_module("mjlab.envs")
    rl: Any = importlib.import_module("mjlab.rl")
    env = envs.ManagerBasedRlEnv(cfg=task_cfg, device=str(context.device))
    wrapped = rl.RslRlVecEnvWrapper(env, clip_actions=config.clip_actions)
    return VecEnvAdapter(wrapped, context.device)
