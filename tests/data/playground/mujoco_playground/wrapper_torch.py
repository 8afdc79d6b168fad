"""The wrapper for rsl_rl."""

from __future__ import annotations

import stand_ins


class RSLRLBraxWrapper(stand_ins.PlaygroundWrapper):
    def __init__(self, env, num_actors, seed, episode_length, action_repeat, randomization_fn=None, device_rank=None):
        assert action_repeat == 1
        assert device_rank is None, "there is no GPU"
        super().__init__(num_actors, seed, episode_length)
        self.env, self.randomization_fn = env, randomization_fn

    def step(self, action):
        obs, reward, done, extras = super().step(action)
        if not isinstance(self.env.observation_size, dict):
            obs, extras["observations"] = obs.select("state"), {"critic": None}
        return obs, reward, done, extras

    def reset(self):
        obs = super().reset()
        return obs if isinstance(self.env.observation_size, dict) else obs.select("state")
