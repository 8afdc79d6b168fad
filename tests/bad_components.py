"""Components that each break one promise, to see that the contracts notice. `fault` says which."""

from __future__ import annotations

from pathlib import Path

import numpy
import torch
from torch import nn

from rslcore.config import config, option
from rslcore.metrics import EpisodeStatistics
from rslcore.protocols import EnvStep
from rslcore.registry import hookimpl
from rslcore.testing.fakes.config import FakeEnvConfig
from rslcore.testing.fakes.env import FakeEnv
from rslcore.testing.fakes.extension import FakeExtension
from rslcore_actor_critic.config import ActorCriticConfig
from rslcore_actor_critic.policy import ActorCritic
from rslcore_distributions.config import GaussianConfig
from rslcore_distributions.gaussian import Gaussian
from rslcore_networks.config import MlpConfig
from rslcore_networks.mlp import Mlp
from rslcore_ppo.config import PpoConfig
from rslcore_ppo.ppo import PPO
from rslcore_rollout.storage import RolloutStorage
from rslcore_runners.config import OnPolicyConfig
from rslcore_runners.on_policy import OnPolicyRunner

PLUGIN_API = 1
CPU = torch.device("cpu")
NAMES = {
    "network": "Network",
    "distribution": "Distribution",
    "policy": "Policy",
    "storage": "Storage",
    "runner": "Runner",
    "env": "Env",
    "logger": "Logger",
    "algorithm": "Algorithm",
    "extension": "Extension",
}


@hookimpl
def rslcore_register(registry):
    for kind, name in NAMES.items():
        add = getattr(registry, f"add_{kind}")
        add("bad", factory=f"bad_components:Bad{name}", config=f"bad_components:Bad{name}Config", summary="Bad.")
    registry.add_logger(
        "undocumented",
        factory="bad_components:BadLogger",
        config="bad_components:UndocumentedConfig",
        summary="Its config is bad.",
    )


def fault():
    return option("", "Which promise is broken.")


@config
class BadNetworkConfig(MlpConfig):
    """Bad."""

    fault: str = fault()


class BadNetwork(Mlp):
    """A network that breaks a promise."""

    def __init__(self, config, context, num_outputs):
        if config.fault == "group":
            context.env_spec.observations["policy"]
        super().__init__(config, context, num_outputs)
        self.fault = config.fault
        if config.fault == "unused":
            self.unused = nn.Linear(2, 2)
        self.scale = torch.rand(())

    def forward(self, obs):
        outputs = super().forward(obs)
        if self.fault == "state":
            return outputs * self.scale
        if self.fault == "reads" and outputs.sum() > 0:
            return outputs
        if self.fault == "writes":
            obs["policy"].mul_(2.0)
        if self.fault == "random":
            return outputs + torch.rand(())
        if self.fault == "batch":
            return outputs - outputs.mean(0)
        return outputs[:, :1] if self.fault == "narrow" else outputs


@config
class BadDistributionConfig(GaussianConfig):
    """Bad."""

    fault: str = fault()


class BadDistribution(Gaussian):
    """A distribution that breaks a promise."""

    def __init__(self, config, context):
        super().__init__(config, context)
        self.fault = config.fault

    def entropy(self, params):
        return super().entropy(params) + (1.0 if self.fault == "entropy" else 0.0)

    def kl_divergence(self, old, new):
        return super().kl_divergence(new, old) if self.fault == "kl" else super().kl_divergence(old, new)

    def log_prob(self, params, actions):
        log_prob = super().log_prob(params, actions)
        return log_prob.unsqueeze(-1) if self.fault == "shape" else log_prob

    def sample(self, params):
        if self.fault == "seed":
            noise = numpy.random.default_rng().normal(size=params["mean"].shape)
            return (params["mean"] + params["std"] * torch.from_numpy(noise)).float()
        return super().sample(params).double() if self.fault == "dtype" else super().sample(params)


@config
class BadPolicyConfig(ActorCriticConfig):
    """Bad."""

    fault: str = fault()


class BadPolicy(ActorCritic):
    """A policy that breaks a promise."""

    def __init__(self, config, context):
        if config.fault == "robot":
            context.env.reset()
        super().__init__(config, context)
        self.fault = config.fault
        self.calls = 0

    def act_inference(self, obs, states):
        actions, states = super().act_inference(obs, states)
        self.calls += 1
        return (actions + self.calls, states) if self.fault == "memory" else (actions, states)

    def values(self, obs, state, sequences=None):
        values, state = super().values(obs, state, sequences)
        return (values.unsqueeze(-1), state) if self.fault == "values" else (values, state)

    def parameter_groups(self):
        groups = super().parameter_groups()
        return {"actor": groups["actor"]} if self.fault == "groups" else groups


@config
class BadStorageConfig:
    """Bad."""

    fault: str = fault()


class BadStorage(RolloutStorage):
    """A storage that breaks a promise."""

    def __init__(self, config, context):
        super().__init__(config, context)
        self.fault = config.fault

    def write(self, name, rows):
        if self.fault == "spread" and name == "extra":
            rows = torch.zeros(self._leading[1], 2) + rows.flatten()[0]
        super().write(name, rows)

    def mini_batches(self, *arguments, **options):
        for batch in super().mini_batches(*arguments, **options):
            if self.fault == "mixed":
                batch.obs = batch.obs.flip(0)
            yield batch

    def clear(self):
        super().clear()
        self._step = 1 if self.fault == "clear" else 0


@config
class BadRunnerConfig(OnPolicyConfig):
    """Bad."""

    fault: str = fault()


class BadRunner(OnPolicyRunner):
    """A runner that breaks a promise."""

    def learn(self):
        if self.config.fault == "resets":
            self._obs = self.env.reset()
        if self.config.fault == "counts":
            self.episodes = EpisodeStatistics(self.env.spec.num_envs, self.config.num_steps_per_env, CPU)
        if self.config.fault == "saves":
            self.session.save_checkpoint = lambda *arguments: None
        if self.config.fault == "forgets":
            self.watch.local_state_dict = dict
        if self.config.fault == "context":
            self.algorithm.rollout_context = torch.no_grad
        if self.config.fault == "stop":
            self.algorithm.stop_at = None
        super().learn()


@config
class BadEnvConfig(FakeEnvConfig):
    """Bad."""

    fault: str = fault()


class BadEnv(FakeEnv):
    """An env that breaks a promise."""

    def __init__(self, config, context):
        super().__init__(config, context)
        self.fault = config.fault
        self.is_closed = False
        if config.fault == "seed":
            self._generator.seed()

    def step(self, actions):
        step = super().step(actions)
        if self.fault == "final":
            step.final_obs = None
        if self.fault == "late":
            step.obs = step.obs if step.final_obs is None else step.final_obs
        if self.fault == "dtype":
            step.rewards = step.rewards.double()
        if self.fault == "reuses":
            self.kept = getattr(self, "kept", step.obs)
            self.kept.update_(step.obs)
            return EnvStep(self.kept, step.rewards, step.terminated, step.truncated, step.final_obs)
        return step

    def reset_envs(self, envs):
        if self.fault == "draws":
            self._draw()
        return super().reset_envs(torch.ones_like(envs) if self.fault == "all" else envs)

    def state_dict(self):
        return {name: value for name, value in super().state_dict().items() if (self.fault, name) != ("state", "steps")}

    def load_state_dict(self, state):
        if self.fault == "takes":
            return
        super().load_state_dict({"steps": self._steps, **state} if self.fault == "state" else state)

    def close(self):
        if self.fault == "close" and self.is_closed:
            raise RuntimeError("closed already")
        self.is_closed = True


@config
class BadLoggerConfig:
    """Bad."""

    fault: str = fault()


@config
class UndocumentedConfig:
    """Bad."""

    fault: str = ""


class BadLogger:
    """A logger that breaks a promise."""

    def __init__(self, config, context):
        self.fault = config.fault

    def start(self, session):
        if self.fault == "strays":
            Path("log.txt").write_text("")

    def log(self, record):
        if self.fault == "nan":
            int(record.metrics.get("Train/mean_reward", 0.0))

    def close(self):
        pass


@config
class BadAlgorithmConfig(PpoConfig):
    """Bad."""

    fault: str = fault()


class BadAlgorithm(PPO):
    """An algorithm that breaks a promise."""

    def __init__(self, config, context, policy, storage):
        super().__init__(config, context, policy, storage)
        self.count = self.steps = 0
        if config.fault == "learner":
            self.learner = ()
        if config.fault == "unwatched":
            del self.learner

    def train_mode(self):
        if self.config.fault not in ("learner", "unwatched"):
            super().train_mode()

    def rollout_context(self):
        return torch.enable_grad() if self.config.fault == "differentiates" else super().rollout_context()

    def act(self, obs):
        actions = super().act(obs)
        if self.config.fault in ("gradient", "differentiates"):
            actions = actions.detach().clone().requires_grad_()
        if self.config.fault == "reads":
            assert actions.isfinite().all()
        self.steps += 1
        return actions + self.steps if self.config.fault in ("local", "remembers") else actions

    def process_env_step(self, step):
        if self.config.fault == "writes":
            step.rewards.mul_(0.1)
        super().process_env_step(step)

    def update(self, obs):
        metrics = super().update(obs)
        self.count += 1
        if self.config.fault == "state":
            self.learning_rate.mul_(0.5**self.count)
        if self.config.fault == "metrics":
            metrics["Loss/count"] = self.count
        return metrics

    def reset(self, dones=None):
        super().reset(None if self.config.fault == "reset" else dones)

    def state_dict(self):
        state = super().state_dict()
        return {**state, "count": object()} if self.config.fault == "impure" else state

    def local_state_dict(self):
        state = super().local_state_dict()
        return {**state, "steps": self.steps} if self.config.fault == "remembers" else state

    def load_local_state_dict(self, state, same_episodes):
        super().load_local_state_dict(state, same_episodes)
        self.steps = state.get("steps", 0)

    def load_state_dict(self, state):
        if self.config.fault == "misfit":
            for module in self.modules:
                module.module.load_state_dict(state["modules"]["policy"]["module"])
        super().load_state_dict(state)


@config
class BadExtensionConfig:
    """Bad."""

    fault: str = fault()


class BadExtension(FakeExtension):
    """An extension that breaks a promise."""

    def bind(self, bindings):
        super().bind(bindings)
        if self.config.fault == "untrained":
            bindings.modules.register("untrained", nn.Linear(1, 1))

    def before_act(self, obs):
        seen = super().before_act(obs)
        if self.config.fault == "undeclared":
            seen["policy"] = seen["policy"] + 1.0
        if self.config.fault == "writes":
            obs["policy"].add_(1.0)
        return seen

    def extend_final_obs(self, final_obs):
        return self.before_act(final_obs) if self.config.fault == "final" else super().extend_final_obs(final_obs)

    def reset(self, dones):
        if self.config.fault != "reset" or dones is None:
            super().reset(dones)

    def shape_reward(self, transition, rewards):
        if self.config.fault == "rewards":
            return rewards.add_(1.0)
        return super().shape_reward(transition, rewards)

    def after_step(self, transition):
        super().after_step(transition)
        if self.config.fault == "reads":
            float(transition.step.rewards.sum())

    def losses(self, batch, outputs):
        (name, (loss, weight)) = next(iter(super().losses(batch, outputs).items()))
        if self.config.fault == "state":
            weight = 0.5**self._rows
        return {name: (loss, weight)}

    def metrics(self):
        if self.config.fault == "metrics":
            return {"bias": self._predictor.bias.detach().mean()}
        return super().metrics()

    def state_dict(self):
        return {"rows": 0} if self.config.fault == "state" else super().state_dict()

    def load_local_state_dict(self, state, same_episodes):
        if self.config.fault != "local":
            super().load_local_state_dict(state, same_episodes or self.config.fault == "remembers")
