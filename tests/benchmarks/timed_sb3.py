"""Trains Stable-Baselines3's PPO in timed envs.

Legend: N envs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy
from sb3_envs import PlainVecEnv
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from timed_envs import TASKS, TimedEnvs, make_timed_envs
from torch import nn

from rslcore.config import load_config, unstructure

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class Sb3Envs(PlainVecEnv):
    """Gymnasium's vector envs as Stable-Baselines3 takes them."""

    def __init__(self, envs: TimedEnvs, seed: int) -> None:
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self._envs = envs
        self._seed = seed
        self._actions: Any = None

    def reset(self) -> Any:
        """Start new episodes."""
        return self._envs.reset(seed=self._seed)[0]

    def step_async(self, actions: Any) -> None:
        """Take actions of N envs."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Apply them."""
        obs, rewards, terminated, truncated, infos = self._envs.step(self._actions)
        ended = numpy.logical_or(terminated, truncated)
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for index in numpy.flatnonzero(ended):
            is_cut = bool(truncated[index] and not terminated[index])
            rows[index] = {"terminal_observation": infos["final_obs"][index], "TimeLimit.truncated": is_cut}
        return obs, rewards, ended, rows

    def close(self) -> None:
        """Close the envs."""
        self._envs.close()


def train(name: str, seed: int) -> None:
    """Train until the envs stop it."""
    config = load_config(TASKS[name].recipe, [f"seed={seed}"])
    tree = unstructure(config)
    algorithm, network = tree["algorithm"], tree["policy"]["actor"]["network"]
    num_envs, num_steps = tree["env"]["num_envs"], tree["runner"]["num_steps_per_env"]
    timed = make_timed_envs(name, num_envs)
    envs: VecEnv = Sb3Envs(timed, seed)
    if network["normalize"]:
        envs = VecNormalize(envs, norm_reward=False)
    layers = list(network["hidden_dims"])
    model = PPO(
        "MlpPolicy",
        envs,
        learning_rate=algorithm["learning_rate"],
        n_steps=num_steps,
        batch_size=num_envs * num_steps // algorithm["num_mini_batches"],
        n_epochs=algorithm["num_learning_epochs"],
        gamma=algorithm["gamma"],
        gae_lambda=algorithm["lam"],
        clip_range=algorithm["clip_param"],
        ent_coef=algorithm["entropy_coef"],
        vf_coef=algorithm["value_loss_coef"],
        max_grad_norm=algorithm["max_grad_norm"],
        policy_kwargs={
            "net_arch": {"pi": layers, "vf": layers},
            "activation_fn": ACTIVATIONS[network["activation"]],
            "log_std_init": math.log(tree["policy"]["actor"]["distribution"].get("init_std", 1.0)),
            "optimizer_kwargs": {"eps": 1e-8},
        },
        seed=seed,
        device="cpu",
    )
    timed.start()
    model.learn(1_000_000_000)
