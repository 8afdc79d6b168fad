"""Makes a task of Isaac Lab as an rslcore env: Isaac Lab's own wrapper for rsl_rl, adapted."""

from __future__ import annotations

import gymnasium

from rslcore.context import Context
from rslcore_isaaclab.app import device_name, import_isaaclab, launch
from rslcore_isaaclab.config import IsaacLabConfig
from rslcore_isaaclab.tasks import find_task
from rslcore_rsl_rl.changes import apply_changes
from rslcore_rsl_rl.vec_env import VecEnvAdapter


def make_isaaclab_env(config: IsaacLabConfig, context: Context) -> VecEnvAdapter:
    """N environments of a task, on the run's device, seeded with the run's seed.

    Raises:
        MissingExtraError: Isaac Lab is not installed.
        ConfigError: There is no such task, or nothing of a name to be changed.
    """
    launch(config.headless, config.enable_cameras, context.device)
    task = find_task(config.task, f"{context.path}.task")
    parse = import_isaaclab("isaaclab_tasks.utils").parse_env_cfg
    task_cfg = parse(task, device=device_name(context.device), num_envs=config.num_envs)
    task_cfg.seed = context.seed
    apply_changes(task_cfg, config.changes, f"{context.path}.changes")
    env = gymnasium.make(task, cfg=task_cfg)
    wrapper = import_isaaclab("isaaclab_rl.rsl_rl").RslRlVecEnvWrapper
    return VecEnvAdapter(wrapper(env, clip_actions=config.clip_actions), context.device)
