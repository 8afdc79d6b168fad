"""skrl's PPO by its own `SequentialTrainer`, with an agent that waits for the next turn after each update.

Observations are normalized by its `RunningStandardScaler`, an adaptive learning rate is its `KLAdaptiveLR`. It keeps no
episode statistics, since it writes no log. Gymnasium's envs are made by Gymnasium and wrapped by its own wrapper.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy
import torch
from free_env import FreeEnv
from skrl.agents.torch.ppo import PPO
from skrl.envs.wrappers.torch import Wrapper, wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import CategoricalMixin, DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from torch import Tensor, nn

from rslcore.config import unstructure
from speed.networks import body
from speed.worker import Turns
from speed.workloads import ENDLESS, Workload


class FreeWrapper(Wrapper):
    """The env that costs nothing, as skrl takes it: observations are flat, rewards and flags `[N, 1]`."""

    def __init__(self, env: FreeEnv, device: str) -> None:
        super().__init__(env)
        self._device = torch.device(device)
        ((self._group, spec),) = env.spec.observations.items()
        self._spaces = (
            gymnasium.spaces.Box(-numpy.inf, numpy.inf, spec.shape),
            gymnasium.spaces.Box(-1.0, 1.0, (env.spec.actions.num_actions,)),
        )

    @property
    def num_envs(self) -> int:
        return self._env.spec.num_envs

    @property
    def observation_space(self) -> gymnasium.Space:
        return self._spaces[0]

    @property
    def action_space(self) -> gymnasium.Space:
        return self._spaces[1]

    def reset(self) -> tuple[Tensor, dict[str, Any]]:
        return self._env.reset()[self._group].flatten(1), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        step = self._env.step(actions)
        flags = step.terminated.unsqueeze(-1), step.truncated.unsqueeze(-1)
        return step.obs[self._group].flatten(1), step.rewards.unsqueeze(-1), *flags, {}

    def state(self) -> None:
        return None

    def render(self, *args: Any, **kwargs: Any) -> None:
        pass

    def close(self) -> None:
        pass


class Network(Model):
    """A network of a config, on observations that come flat."""

    def __init__(self, spaces: dict[str, Any], options: dict[str, Any], num_outputs: int) -> None:
        Model.__init__(self, **spaces)
        self._shape = self.observation_space.shape
        self.net = body(options, self._shape, num_outputs)

    def outputs(self, inputs: dict[str, Any]) -> Tensor:
        """`[B, num_outputs]`."""
        outputs: Tensor = self.net(inputs["observations"].unflatten(-1, self._shape))
        return outputs


class GaussianActor(GaussianMixin, Network):
    """The mean, and a standard deviation that is a parameter."""

    def __init__(self, spaces: dict[str, Any], options: dict[str, Any]) -> None:
        num_actions = spaces["action_space"].shape[0]
        Network.__init__(self, spaces, options, num_actions)
        GaussianMixin.__init__(self)
        self.log_std = nn.Parameter(torch.zeros(num_actions))

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        return self.outputs(inputs), {"log_std": self.log_std}


class CategoricalActor(CategoricalMixin, Network):
    """The logits of the choices."""

    def __init__(self, spaces: dict[str, Any], options: dict[str, Any]) -> None:
        Network.__init__(self, spaces, options, int(spaces["action_space"].n))
        CategoricalMixin.__init__(self)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        return self.outputs(inputs), {}


class Critic(DeterministicMixin, Network):
    """The value."""

    def __init__(self, spaces: dict[str, Any], options: dict[str, Any]) -> None:
        Network.__init__(self, spaces, options, 1)
        DeterministicMixin.__init__(self)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        return self.outputs(inputs), {}


class TurnsAgent(PPO):
    """Tells rollouts from updates, and waits for the next turn."""

    turns: Turns

    def update(self, *, timestep: int, timesteps: int) -> None:
        collected = self.turns.elapsed()
        super().update(timestep=timestep, timesteps=timesteps)
        self.turns.end(collected)


def train(workload: Workload, options: Sequence[str], turns: Turns) -> None:
    """Train until there are no more turns."""
    config = workload.config(turns.device, turns.threads)
    tree = unstructure(config)
    ppo, actor, critic = tree["algorithm"], tree["policy"]["actor"]["network"], tree["policy"]["critic"]["network"]
    num_steps = tree["runner"]["num_steps_per_env"]
    set_seed(config.seed)
    if workload.is_free:
        env = FreeWrapper(FreeEnv(config.env.config, turns.device), turns.device)
    else:
        env = wrap_env(gymnasium.make_vec(tree["env"]["id"], tree["env"]["num_envs"]), "gymnasium", verbose=False)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": turns.device}
    is_discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
    policy = CategoricalActor(spaces, actor) if is_discrete else GaussianActor(spaces, actor)
    settings: dict[str, Any] = {
        "rollouts": num_steps,
        "learning_epochs": ppo["num_learning_epochs"],
        "mini_batches": ppo["num_mini_batches"],
        "discount_factor": ppo["gamma"],
        "gae_lambda": ppo["lam"],
        "learning_rate": ppo["learning_rate"],
        "grad_norm_clip": ppo["max_grad_norm"],
        "ratio_clip": ppo["clip_param"],
        "value_clip": ppo["clip_param"] if ppo["use_clipped_value_loss"] else 0.0,
        "entropy_loss_scale": ppo["entropy_coef"],
        "value_loss_scale": ppo["value_loss_coef"],
        "experiment": {"write_interval": 0, "checkpoint_interval": 0},
    }
    if ppo["schedule"] == "adaptive":
        settings["learning_rate_scheduler"] = KLAdaptiveLR
        settings["learning_rate_scheduler_kwargs"] = {"kl_threshold": ppo["desired_kl"]}
    if actor["normalize"]:
        settings["observation_preprocessor"] = RunningStandardScaler
        settings["observation_preprocessor_kwargs"] = {"size": env.observation_space, "device": turns.device}
    agent = TurnsAgent(
        models={"policy": policy.to(turns.device), "value": Critic(spaces, critic).to(turns.device)},
        memory=RandomMemory(memory_size=num_steps, num_envs=env.num_envs, device=turns.device),
        cfg=settings,
        **spaces,
    )
    agent.turns = turns
    trainer_settings = {"timesteps": ENDLESS, "headless": True, "disable_progressbar": True}
    trainer = SequentialTrainer(cfg=trainer_settings, env=env, agents=agent)
    turns.begin()
    with contextlib.closing(env):
        trainer.train()
