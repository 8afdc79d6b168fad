"""The wrapper for rsl_rl. It has no `reset`, as in some versions of Isaac Lab."""

from __future__ import annotations

import stand_ins
from isaaclab.envs import ManagerBasedRLEnv


class RslRlVecEnvWrapper(stand_ins.IsaacLabWrapper):
    def __init__(self, env, clip_actions=None):
        assert isinstance(env.unwrapped, ManagerBasedRLEnv)
        super().__init__(env, clip_actions)
