"""Trains rsl-rl-lib's PPO in timed envs.

Legend: N envs, A actions.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy
import torch
from gymnasium.spaces import Discrete
from peer_config import to_rsl_rl
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from timed_envs import TASKS, TimedEnvs, make_timed_envs
from torch import Tensor

from rslcore.config import load_config
from rslcore.seeding import seed_everything

NOT_IN_RSL_RL = (
    *("policy.actor.network.init=default", "policy.actor.network.output_scale=1.0"),
    "policy.critic.network.init=default",
)
"""Options of the recipes that it does not have: its networks begin with torch's own weights."""


class RslRlEnvs(VecEnv):
    """Gymnasium's vector envs as rsl_rl takes them.

    It has continuous actions only: of two choices, the second one is taken where the action is positive.
    """

    def __init__(self, envs: TimedEnvs, seed: int) -> None:
        self.envs = envs
        self.num_envs = envs.num_envs
        self._is_discrete = isinstance(envs.single_action_space, Discrete)
        self.num_actions = 1 if self._is_discrete else envs.single_action_space.shape[0]
        self.max_episode_length = 0  # is read for random initial lengths only, which nobody asks for
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
        self.device = torch.device("cpu")
        self.cfg: dict[str, Any] = {}
        self._obs = self._to_tensors(envs.reset(seed=seed)[0])

    def get_observations(self) -> TensorDict:
        """The observations to act on next, `[N, ...]`."""
        return self._obs

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Apply actions `[N, A]`."""
        array = actions.numpy()
        obs, rewards, terminated, truncated, _ = self.envs.step(
            (array[:, 0] > 0.0).astype(numpy.int64) if self._is_discrete else array
        )
        self._obs = self._to_tensors(obs)
        time_outs = {"time_outs": torch.from_numpy(truncated & ~terminated)}
        return self._obs, torch.from_numpy(rewards).float(), torch.from_numpy(terminated | truncated), time_outs

    def _to_tensors(self, obs: Any) -> TensorDict:
        return TensorDict({"policy": torch.from_numpy(obs).float()}, batch_size=[self.num_envs])


class Silence:
    """Takes the place of rsl_rl's logger."""

    writer = None

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **options: None


def train(name: str, seed: int) -> None:
    """Train until the envs stop it."""
    distribution = ["policy.actor.distribution={name: gaussian}"] if name == "cartpole" else []
    config = load_config(TASKS[name].recipe, [f"seed={seed}", *NOT_IN_RSL_RL, *distribution])
    seed_everything(seed)
    envs = make_timed_envs(name, config.env.config.num_envs)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its networks
        runner = OnPolicyRunner(RslRlEnvs(envs, seed), to_rsl_rl(config), log_dir=None, device="cpu")
    runner.logger = Silence()
    envs.start()
    runner.learn(1_000_000)
