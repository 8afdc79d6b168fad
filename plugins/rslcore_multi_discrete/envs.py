"""HalfCheetah with discrete actions; importing the module registers it with Gymnasium.

HalfCheetahMultiDiscrete-v0    HalfCheetah-v5, whose action space is MultiDiscrete([bins] * 6)
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.wrappers import DiscretizeAction


def make_half_cheetah(bins: int = 5, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """HalfCheetah-v5 whose torques in [-1, 1] are the middles of equal bins, chosen for each joint by number.

    Args:
        bins: Choices of each joint: with 5 of them -0.8, -0.4, 0, 0.4 and 0.8.
        kwargs: Handed to HalfCheetah's constructor.
    """
    from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv  # needs MuJoCo, importing this module does not

    return DiscretizeAction(HalfCheetahEnv(**kwargs), bins, multidiscrete=True)


gymnasium.register(
    "HalfCheetahMultiDiscrete-v0",
    entry_point="rslcore_multi_discrete.envs:make_half_cheetah",
    max_episode_steps=1000,
)
