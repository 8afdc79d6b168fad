"""Stable-Baselines3's PPO by its own `learn`, with a callback that waits for the next turn.

Its envs are of NumPy: Gymnasium's by `make_vec_env`, as its users make them, or one that costs nothing. Observations
are normalized by its `VecNormalize`. Its learning rate is fixed: it has no adaptive one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy
import torch
from free_env import FreeEnv
from sb3_envs import PlainVecEnv
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rslcore.config import unstructure
from speed.networks import ACTIVATIONS, encoder
from speed.worker import Turns
from speed.workloads import ENDLESS, Workload


class FreeVecEnv(PlainVecEnv):
    """What `FreeEnv` hands out, as NumPy arrays made once."""

    def __init__(self, env: FreeEnv) -> None:
        ((group, spec),) = env.spec.observations.items()
        low, high = (0.0, 1.0) if len(spec.shape) == 3 else (-numpy.inf, numpy.inf)
        actions = gymnasium.spaces.Box(-1.0, 1.0, (env.spec.actions.num_actions,))
        super().__init__(env.spec.num_envs, gymnasium.spaces.Box(low, high, spec.shape), actions)
        steps = [env.step() for _ in range(env.spec.max_episode_length or 1)]
        self._obs = [step.obs[group].numpy() for step in steps]
        self._dones = [step.dones.numpy() for step in steps]
        self._rewards = steps[0].rewards.numpy()
        self._infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._step = 0

    def reset(self) -> numpy.ndarray:
        return self._obs[0]

    def step_async(self, actions: numpy.ndarray) -> None:
        self._step += 1

    def step_wait(self) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, list[dict[str, Any]]]:
        place = self._step % len(self._obs)
        return self._obs[place], self._rewards.copy(), self._dones[place], self._infos


class Encoder(BaseFeaturesExtractor):
    """The convolutions of a config."""

    def __init__(self, observation_space: gymnasium.spaces.Box, options: dict[str, Any]) -> None:
        layers = encoder(options, observation_space.shape[0])
        with torch.no_grad():
            width = layers(torch.zeros(1, *observation_space.shape)).shape[1]
        super().__init__(observation_space, width)
        self.layers = layers

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Features of observations `[B, C, H, W]`."""
        features: torch.Tensor = self.layers(obs)
        return features


class TurnsCallback(BaseCallback):
    """Tells rollouts from updates, and waits for the next turn."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self._collected: float | None = None

    def _on_rollout_start(self) -> None:
        if self._collected is None:
            self._turns.begin()
        else:
            self._turns.end(self._collected)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._collected = self._turns.elapsed()


def train(workload: Workload, options: Sequence[str], turns: Turns) -> None:
    """Train until there are no more turns."""
    config = workload.config(turns.device, turns.threads)
    tree = unstructure(config)
    ppo, network = tree["algorithm"], tree["policy"]["actor"]["network"]
    size, num_steps = tree["env"]["num_envs"], tree["runner"]["num_steps_per_env"]
    env: VecEnv
    if workload.is_free:
        env = FreeVecEnv(FreeEnv(config.env.config))
    else:
        env = make_vec_env(tree["env"]["id"], size, seed=config.seed)
    if network["normalize"]:
        env = VecNormalize(env, norm_reward=False)
    policy: dict[str, Any] = {"net_arch": network["hidden_dims"], "activation_fn": ACTIVATIONS[network["activation"]]}
    if network["name"] == "cnn":
        policy |= {
            "features_extractor_class": Encoder,
            "features_extractor_kwargs": {"options": network["encoder"]},
            "share_features_extractor": False,
            "normalize_images": False,
        }
    model = PPO(
        "CnnPolicy" if network["name"] == "cnn" else "MlpPolicy",
        env,
        learning_rate=ppo["learning_rate"],
        n_steps=num_steps,
        batch_size=size * num_steps // ppo["num_mini_batches"],
        n_epochs=ppo["num_learning_epochs"],
        gamma=ppo["gamma"],
        gae_lambda=ppo["lam"],
        clip_range=ppo["clip_param"],
        clip_range_vf=ppo["clip_param"] if ppo["use_clipped_value_loss"] else None,
        ent_coef=ppo["entropy_coef"],
        vf_coef=ppo["value_loss_coef"],
        max_grad_norm=ppo["max_grad_norm"],
        policy_kwargs=policy,
        device=turns.device,
        seed=config.seed,
    )
    model.learn(ENDLESS * size * num_steps, TurnsCallback(turns), log_interval=None)
