"""Options of the env `isaaclab`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config import Range, config, option

AGENT_SETTINGS = "rsl_rl_cfg_entry_point"
"""The key under which tasks name the settings of their agent for rsl_rl."""


@config
class IsaacLabConfig:
    """A task of Isaac Lab, simulated by Isaac Sim on a GPU."""

    task: str = option(
        attrs.NOTHING,
        "As in Gymnasium's registry, such as `Isaac-Cartpole-v0`; `module:Isaac-My-Task-v0` imports the module first.",
    )
    num_envs: int | None = option(None, "N, the number of environments; by default the task's own.", Range(1, 10**7))
    agent: str = option(
        AGENT_SETTINGS, "Under which key of the task the recipe finds the settings of its agent for rsl_rl."
    )
    clip_actions: float | None = option(
        None, "Actions are clipped to this and its negative before the env is given them.", Range(0.0, open_low=True)
    )
    headless: bool = option(True, "Whether Isaac Sim runs without a window.")
    enable_cameras: bool = option(False, "Whether cameras are rendered, for tasks that observe images.")
    changes: Mapping[str, Any] = option(
        {}, "Changes of the task's own configuration, by dotted name: `{episode_length_s: 10.0, sim.dt: 0.005}`."
    )
