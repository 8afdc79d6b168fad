"""Settings of tasks, from Gymnasium's registry."""

from __future__ import annotations

import importlib

import gymnasium


def load_cfg_from_registry(task_name, entry_point_key):
    entry_point = gymnasium.spec(task_name).kwargs.get(entry_point_key)
    if entry_point is None:
        raise ValueError(f"Could not find configuration for the environment: '{task_name}'.")
    if isinstance(entry_point, str):
        module, name = entry_point.split(":")
        entry_point = getattr(importlib.import_module(module), name)
    return entry_point()


def parse_env_cfg(task_name, device="cuda:0", num_envs=None, use_fabric=None):
    cfg = load_cfg_from_registry(task_name, "env_cfg_entry_point")
    cfg.sim.device = device
    if num_envs is not None:
        cfg.scene.num_envs = num_envs
    return cfg
