"""mjlab's `play`, with a viewer that shows nothing, plays 25 steps, and prints how it acts."""

from __future__ import annotations

import json

import torch
from mjlab.scripts import play
from mjlab.viewer.base import BaseViewer
from tensordict import TensorDict

NUM_STEPS = 25


class UnseenViewer(BaseViewer):
    def __init__(self, env, policy, checkpoint_manager):
        super().__init__(env, policy)
        self.checkpoint_manager = checkpoint_manager

    def setup(self):
        pass

    def sync_env_to_viewer(self):
        pass

    def sync_viewer_to_env(self):
        pass

    def close(self):
        pass

    def is_running(self):
        return not self._is_paused  # as after an exception

    def run(self):
        self.reset_environment()
        super().run(num_steps=NUM_STEPS // 2)
        names = sorted(name for name, _ in self.checkpoint_manager.fetch_available())
        self.policy = self.checkpoint_manager.load_checkpoint(self.checkpoint_manager.current_name)
        played = self._step_count
        super().run(num_steps=NUM_STEPS)
        obs = self.env.get_observations()
        ones = TensorDict({name: torch.ones_like(group) for name, group in obs.items()}, batch_size=obs.batch_size)
        with torch.no_grad():
            actions = self.policy(ones).tolist()
        print(json.dumps({"steps": [played, self._step_count], "checkpoints": names, "actions": actions}))


play.ViserPlayViewer = UnseenViewer
play.main()
