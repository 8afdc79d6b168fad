"""A small env of one's own: what the actor and the critic see differs."""

import gymnasium
import numpy
from gymnasium.spaces import Box, Dict


class Reach(gymnasium.Env):
    """Push a point to a target that only the critic sees; the actor sees the error with noise."""

    observation_space = Dict({"policy": Box(-9, 9, (2,)), "privileged": Box(-9, 9, (4,))})
    action_space = Box(-0.2, 0.2, (2,))

    def reset(self, *, seed=None, options=None):
        """Draw a point and a target."""
        super().reset(seed=seed)
        self.point, self.target = self.np_random.uniform(-1, 1, (2, 2)).astype(numpy.float32)
        return self._observe(), {}

    def step(self, action):
        """Move the point; the reward is the negative distance that is left."""
        self.point = self.point + action
        distance = float(numpy.abs(self.target - self.point).sum())
        return self._observe(), -distance, False, False, {}

    def state_dict(self):
        """What a resumed run needs of the env; Gymnasium's generator and time limit are saved beside it."""
        return {"point": self.point, "target": self.target}

    def load_state_dict(self, state):
        """Put a fresh env where another one was."""
        self.point, self.target = state["point"], state["target"]

    def _observe(self):
        noise = self.np_random.normal(0, 0.05, 2)
        error = (self.target - self.point + noise).astype(numpy.float32)
        return {"policy": error, "privileged": numpy.concatenate([self.point, self.target])}


gymnasium.register("Reach-v0", entry_point=Reach, max_episode_steps=20)
