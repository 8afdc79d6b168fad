"""rsl_rl by its own `OnPolicyRunner.learn`, with a logger that waits for the next turn.

Timed is the whole of its loop. Its logger keeps no episode statistics, since rsl_rl keeps none where it writes no log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from free_env import make_registry
from peer_config import to_rsl_rl
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.protocols import Env
from rslcore.seeding import seed_everything
from speed.worker import Turns
from speed.workloads import ENDLESS, Workload

RND = {
    "num_outputs": 16,
    "predictor_hidden_dims": [64, 64],
    "target_hidden_dims": [64, 64],
    "weight": 0.1,
    "learning_rate": 1e-3,
}
SYMMETRY = {"data_augmentation_func": "free_env:mirror", "use_data_augmentation": True, "use_mirror_loss": False}


class TensorEnv(VecEnv):
    """An rslcore env as rsl_rl takes it, so that both libraries step the very same code.

    rsl_rl has no discrete actions: of two choices it takes the second where its one action is positive.
    """

    step_dt = 1.0

    def __init__(self, env: Env, device: torch.device) -> None:
        self.env, self.device = env, device
        self.num_envs, self.num_actions = env.spec.num_envs, env.spec.actions.num_actions
        self.max_episode_length = env.spec.max_episode_length or 0
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long, device=device)
        self.cfg: dict[str, Any] = {}
        self._is_discrete = env.spec.actions.is_discrete
        self._obs = env.reset()

    @property
    def unwrapped(self) -> TensorEnv:
        """Itself."""
        return self

    def get_observations(self) -> TensorDict:
        """The observations to act on next, `[N, ...]`."""
        return self._obs

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Apply actions `[N, A]`."""
        step = self.env.step((actions > 0).long() if self._is_discrete else actions)
        return step.obs, step.rewards, step.dones, {"time_outs": step.truncated & ~step.terminated}


def train(workload: Workload, options: Sequence[str], turns: Turns) -> None:
    """Train until there are no more turns.

    Args:
        workload: What.
        options: `torch_compile_mode=MODE` or `use_mixed_precision=True`.
        turns: To wait for.
    """
    own = dict(option.split("=", 1) for option in options)
    continuous = ("policy.actor.distribution={name: gaussian}",)  # the only kind that it has
    config = workload.config(turns.device, turns.threads, continuous)
    registry = make_registry()
    seed_everything(config.seed)
    device = torch.device(turns.device)
    context = Context(registry, config, device, config.seed, config.runner.config.num_steps_per_env)
    settings = to_rsl_rl(config)
    settings["torch_compile_mode"] = own.get("torch_compile_mode")
    settings["algorithm"]["use_mixed_precision"] = "use_mixed_precision" in own
    if workload.extensions:
        settings["algorithm"].update(rnd_cfg=dict(RND), symmetry_cfg=dict(SYMMETRY))
        settings["obs_groups"]["rnd_state"] = ["policy"]
    with contextlib.closing(context.build(config.env, "env")) as env:
        runner = OnPolicyRunner(TensorEnv(env, device), settings, log_dir=None, device=turns.device)

        def log(collect_time: float, **metrics: Any) -> None:
            turns.end(collect_time)

        runner.logger.log = log
        turns.begin()
        runner.learn(ENDLESS)
