"""Trains rsl-rl-lib's PPO, with its own runner, models and storage, on the envs of rslcore.

Legend: N envs, A actions.
"""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import torch
from curves import Curve
from peer_config import to_rsl_rl
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from torch import Tensor

from rslcore.config import ExperimentConfig
from rslcore.context import Context
from rslcore.metrics import EpisodeStatistics
from rslcore.protocols import Env
from rslcore.registry import default_registry
from rslcore.seeding import seed_everything


class PeerEnv(VecEnv):
    """An rslcore env as rsl_rl takes it, so that both libraries step the very same code.

    Args:
        env: Stepped; resets in the same step, and tells no rows apart that are no transitions.
        num_steps: Steps of a rollout, after which `episodes` are collected.
        device: Where the tensors are.
    """

    def __init__(self, env: Env, num_steps: int, device: torch.device) -> None:
        self.env = env
        self.num_envs = env.spec.num_envs
        self.num_actions = env.spec.actions.num_actions
        self.max_episode_length = env.spec.max_episode_length or 0
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long, device=device)
        self.device = device
        self.cfg: dict[str, Any] = {}
        self.episodes = EpisodeStatistics(self.num_envs, num_steps, device)
        self._obs = env.reset()

    def get_observations(self) -> TensorDict:
        """The observations to act on next, `[N, ...]`."""
        return self._obs

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Apply actions `[N, A]`."""
        step = self.env.step(actions)
        assert step.valid is None, "rsl_rl takes every row for a transition"
        self.episodes.record(step)
        self.episode_length_buf = (self.episode_length_buf + 1) * ~step.dones
        self._obs = step.obs
        return step.obs, step.rewards, step.dones, {"time_outs": step.truncated & ~step.terminated}


class CurveLogger:
    """Takes the place of rsl_rl's logger, which would write files, and adds a point to a curve every iteration.

    Args:
        env: Whose episodes are counted.
        curve: Is added to.
        steps_per_iteration: Env steps of all envs in a rollout.
    """

    writer = None

    def __init__(self, env: PeerEnv, curve: Curve, steps_per_iteration: int) -> None:
        self._env, self._curve, self._steps = env, curve, steps_per_iteration

    def init_logging_writer(self) -> None:
        """There is no file to open."""

    def process_env_step(self, *arguments: Any) -> None:
        """The env counts its episodes itself."""

    def log(self, it: int, **metrics: Any) -> None:
        """Iteration `it`, counted from 0, is done."""
        self._curve.add((it + 1) * self._steps, self._env.episodes.collect().get("Train/mean_reward"))


def train_rsl_rl(config: ExperimentConfig, curve: Curve) -> None:
    """Train rsl_rl with the hyper-parameters of an rslcore config, and fill in the curve."""
    seed_everything(config.seed)
    device, num_steps = torch.device("cpu"), config.runner.config.num_steps_per_env
    context = Context(default_registry(), config, device, config.seed, num_steps)
    with contextlib.closing(context.build(config.env, "env")) as env:
        peer = PeerEnv(env, num_steps, device)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its networks
            runner = OnPolicyRunner(peer, to_rsl_rl(config), log_dir=None, device="cpu")
        runner.logger = CurveLogger(peer, curve, num_steps * peer.num_envs)
        started = time.perf_counter()
        runner.learn(config.iterations)
        curve.seconds = time.perf_counter() - started
