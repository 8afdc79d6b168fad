"""Classes as users of Genesis write them: of its walking robots and of its arm."""

from __future__ import annotations

import genesis as gs
import stand_ins
import torch


class PointEnv(stand_ins.GenesisEnv):
    """Takes its number of envs, and four configs; scales its rewards in the config itself."""

    def __init__(self, num_envs, env_cfg, obs_cfg, reward_cfg, command_cfg, show_viewer=False):
        self.scene = gs.Scene(show_viewer=show_viewer)
        self.obs_cfg, self.reward_cfg, self.command_cfg = obs_cfg, reward_cfg, command_cfg
        for name in reward_cfg["reward_scales"]:
            reward_cfg["reward_scales"][name] *= 0.02
        super().__init__(num_envs, env_cfg, gs.device, int(torch.randint(1000, ())))


class ReachEnv(stand_ins.GenesisEnv):
    """Reads its number of envs in one of three configs."""

    def __init__(self, env_cfg, reward_cfg, robot_cfg, show_viewer=False):
        self.scene = gs.Scene(show_viewer=show_viewer)
        super().__init__(env_cfg["num_envs"], env_cfg, gs.device, int(torch.randint(1000, ())))


class CloseEnv(PointEnv):
    """Names nothing of what it takes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class PlainEnv(PointEnv):
    """Needs one config, and takes another two."""

    def __init__(self, num_envs, env_cfg, obs_cfg=None, reward_cfg=None, show_viewer=False):
        super().__init__(num_envs, env_cfg, obs_cfg, reward_cfg or {"reward_scales": {}}, {}, show_viewer)


def make_point(num_envs, seed, length_s):
    """A function that makes the env instead."""
    cfg = {"episode_length_s": length_s, "seed": seed}
    return PointEnv(num_envs, cfg, {}, {"reward_scales": {}}, {})
