"""Trains skrl's PPO in timed envs.

Legend: N envs.
"""

from __future__ import annotations

import itertools
import logging
import math
from typing import Any

import torch
from skrl.agents.torch.ppo import PPO
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import CategoricalMixin, DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from timed_envs import TASKS, make_timed_envs
from torch import nn

from rslcore.config import load_config, unstructure

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def network(spaces: dict[str, Any], options: dict[str, Any], num_outputs: int) -> nn.Sequential:
    """A network of a recipe, with its initial weights, of torch's own layers."""
    sizes = [spaces["observation_space"].shape[0], *options["hidden_dims"], num_outputs]
    linears = [nn.Linear(*pair) for pair in itertools.pairwise(sizes)]
    for linear in linears:
        nn.init.orthogonal_(linear.weight, math.sqrt(2.0) if linear is not linears[-1] else options["output_scale"])
        nn.init.zeros_(linear.bias)
    hidden = [layer for linear in linears[:-1] for layer in (linear, ACTIVATIONS[options["activation"]]())]
    return nn.Sequential(*hidden, linears[-1])


class Choosing(CategoricalMixin, Model):
    """An actor with discrete actions."""

    def __init__(self, spaces: dict[str, Any], options: dict[str, Any]) -> None:
        Model.__init__(self, **spaces, device="cpu")
        CategoricalMixin.__init__(self)
        self.net = network(spaces, options["network"], int(spaces["action_space"].n))

    def compute(self, inputs: dict[str, Any], role: str = "") -> Any:
        """Logits."""
        return self.net(inputs["observations"]), {}


class Steering(GaussianMixin, Model):
    """An actor with continuous actions."""

    def __init__(self, spaces: dict[str, Any], options: dict[str, Any]) -> None:
        Model.__init__(self, **spaces, device="cpu")
        GaussianMixin.__init__(self, clip_log_std=False)
        num_actions = spaces["action_space"].shape[0]
        self.net = network(spaces, options["network"], num_actions)
        self.log_std = nn.Parameter(torch.full((num_actions,), math.log(options["distribution"]["init_std"])))

    def compute(self, inputs: dict[str, Any], role: str = "") -> Any:
        """Means and logarithms of standard deviations."""
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class Critic(DeterministicMixin, Model):
    """A critic."""

    def __init__(self, spaces: dict[str, Any], options: dict[str, Any]) -> None:
        Model.__init__(self, **spaces, device="cpu")
        DeterministicMixin.__init__(self)
        self.net = network(spaces, options["network"], 1)

    def compute(self, inputs: dict[str, Any], role: str = "") -> Any:
        """Values."""
        return self.net(inputs["observations"]), {}


def train(name: str, seed: int) -> None:
    """Train until the envs stop it."""
    logging.getLogger("skrl").setLevel(logging.WARNING)
    tree = unstructure(load_config(TASKS[name].recipe, [f"seed={seed}"]))
    algorithm, policy = tree["algorithm"], tree["policy"]
    num_envs, num_steps = tree["env"]["num_envs"], tree["runner"]["num_steps_per_env"]
    set_seed(seed)
    timed = make_timed_envs(name, num_envs)
    envs = wrap_env(timed, wrapper="gymnasium", verbose=False)
    spaces = {"observation_space": envs.observation_space, "action_space": envs.action_space}
    actor = Steering if policy["actor"]["distribution"]["name"] == "gaussian" else Choosing
    scaler = {"size": envs.observation_space, "device": "cpu"}
    normalizing = {"observation_preprocessor": RunningStandardScaler, "observation_preprocessor_kwargs": scaler}
    agent = PPO(
        models={"policy": actor(spaces, policy["actor"]), "value": Critic(spaces, policy["critic"])},
        memory=RandomMemory(memory_size=num_steps, num_envs=num_envs, device="cpu"),
        **spaces,
        device="cpu",
        cfg={
            "rollouts": num_steps,
            "learning_epochs": algorithm["num_learning_epochs"],
            "mini_batches": algorithm["num_mini_batches"],
            "discount_factor": algorithm["gamma"],
            "gae_lambda": algorithm["lam"],
            "learning_rate": algorithm["learning_rate"],
            "grad_norm_clip": algorithm["max_grad_norm"],
            "ratio_clip": algorithm["clip_param"],
            "value_clip": 0.0,
            "entropy_loss_scale": algorithm["entropy_coef"],
            "value_loss_scale": algorithm["value_loss_coef"],
            "time_limit_bootstrap": True,
            "experiment": {"write_interval": 0, "checkpoint_interval": 0},
            **(normalizing if policy["actor"]["network"]["normalize"] else {}),
        },
    )
    options = {"timesteps": 1_000_000_000, "headless": True, "disable_progressbar": True}
    trainer = SequentialTrainer(env=envs, agents=agent, cfg=options)
    timed.start()
    trainer.train()
