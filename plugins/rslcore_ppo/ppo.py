"""Proximal policy optimization.

Read `act` and `process_env_step` (collecting), then `update` (learning), then `_update_minibatch` (the losses). What
extensions may do is called as `for hook in self.hooks.<name>`.

Legend: N envs, T steps of a rollout, B rows of a minibatch, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.config import PolicyComponent, StorageComponent
from rslcore.context import Context
from rslcore.errors import CheckpointError, listed
from rslcore.extension import Bindings, Extension, Hooks, Transition
from rslcore.modules import ModuleTable
from rslcore.optim import Adam, AdamGroup
from rslcore.protocols import ActorCriticPolicy, EnvStep, Storage
from rslcore.specs import EnvSpec, TensorSpec
from rslcore_ppo.config import PpoConfig
from rslcore_ppo.losses import adapt_learning_rate, clipped_surrogate_loss, clipped_value_loss, value_loss
from rslcore_ppo.returns import generalized_advantages, standardize

VALUE_CHUNK = 16_384
"""Rows per pass of the critic over a rollout: many for a GPU, few enough to keep the temporaries small."""


class PPO:
    """PPO with clipped surrogate and value losses, GAE, and an adaptive learning rate (Schulman et al. 2017).

    The values of a rollout are computed in one pass after it; observation normalizers stand still from the first step
    of a rollout to the last minibatch, so that the first ratio is exactly 1.

    Args:
        config: The options.
        context: The surroundings; gives the env's spec and T.
        policy: An actor-critic policy.
        storage: A rollout storage.

    Raises:
        ConfigError: The policy is no actor-critic, or the minibatches do not divide the rollout.
    """

    def __init__(self, config: PpoConfig, context: Context, policy: PolicyComponent, storage: StorageComponent) -> None:
        self.config = config
        self.device = context.device
        self._keeps_final_obs = context.env_spec.keeps_final_obs
        _check_mini_batches(config, context)

        self.extensions: list[Extension] = [
            context.build(extension, f"extensions[{index}]") for index, extension in enumerate(config.extensions)
        ]
        self.hooks = Hooks(self.extensions)
        root = attrs.evolve(context, path="", spec=_with_groups(context.env_spec, self.extensions))
        self.policy = _build_actor_critic(root, policy)
        self.storage: Storage = root.build(storage, "storage")

        distribution = self.policy.distribution
        self.storage.add_fields(
            {
                "actions": distribution.action_spec(),
                **{f"params/{name}": spec for name, spec in distribution.param_specs().items()},
                "rewards": TensorSpec(()),
                "dones": TensorSpec((), "bool"),
                "truncated": TensorSpec((), "bool"),
                "values": TensorSpec(()),
                "log_prob": TensorSpec(()),
                "returns": TensorSpec(()),
                "advantages": TensorSpec(()),
            }
        )
        self.modules = ModuleTable(context.device)
        self.modules.register("policy", self.policy, groups=self.policy.parameter_groups())  # type: ignore[arg-type]
        for index, extension in enumerate(self.extensions):
            try:
                self.storage.add_fields(extension.fields())
                extension.bind(Bindings(self.policy, self.modules, self.storage))
            except ValueError as error:  # a name that another extension has taken
                raise context.error(f"extensions[{index}]", str(error)) from error

        self.learning_rate = torch.tensor(config.learning_rate, device=self.device)
        self.optimizer = Adam(
            AdamGroup(parameters, self._rate(entry.learning_rate), config.max_grad_norm)
            for entry in self.modules
            if entry.optimizer is None
            for parameters in entry.groups.values()
        )
        self._latest: tuple[TensorDict, TensorDict] | None = None  # what the env gave last, and what was made of it
        self._acted: tuple[TensorDict, Tensor] | None = None
        self._final_obs: dict[int, TensorDict] = {}  # by step of the rollout
        self._step = 0
        self._totals: dict[str, Tensor] = {}

    # Collecting a rollout

    def rollout_context(self) -> AbstractContextManager[Any]:
        """Nothing in PPO's rollout needs gradients."""
        return torch.no_grad()

    def start_iteration(self, iteration: int, total: int) -> None:
        """Iteration `iteration` of `total`, counted from 0, is about to be collected."""
        for hook in self.hooks.start_iteration:
            hook(iteration, total)

    def act(self, obs: TensorDict) -> Tensor:
        """Sample actions `[N, A]` for observations `[N, ...]` and store both."""
        obs = self._observe(obs)
        distribution = self.policy.distribution
        params = self.policy.actor_params(obs)
        actions = distribution.sample(params)
        self.storage.write_obs(obs)
        self.storage.write("actions", actions)
        for name, param in params.items():
            self.storage.write(f"params/{name}", param)
        self._acted = obs, actions
        return actions

    def process_env_step(self, step: EnvStep) -> None:
        """Store what the env made of the last actions."""
        assert self._acted is not None
        transition = Transition(*self._acted, step)
        rewards = step.rewards
        for shape_reward in self.hooks.shape_reward:
            rewards = shape_reward(transition, rewards)
        self.storage.write("rewards", rewards)
        self.storage.write("dones", step.dones)
        # A time limit that falls on a terminal state cuts nothing off.
        self.storage.write("truncated", step.truncated & ~step.terminated)
        if step.final_obs is not None:
            final_obs = step.final_obs
            for extend_final_obs in self.hooks.extend_final_obs:
                final_obs = extend_final_obs(final_obs)
            self._final_obs[self._step] = final_obs
        if step.valid is not None:
            self.storage.write_valid(step.valid)
        for after_step in self.hooks.after_step:
            after_step(transition)
        self.storage.advance()
        self._step += 1

    def _observe(self, obs: TensorDict) -> TensorDict:
        """Observations with what extensions add, once for each that the env gives.

        The last ones of a rollout are asked for twice: for their values, and to act on in the next rollout.
        """
        if self._latest is None or self._latest[0] is not obs:
            seen = obs
            for before_act in self.hooks.before_act:
                seen = before_act(seen)
            self._latest = obs, seen
        return self._latest[1]

    # Learning from it

    def update(self, obs: TensorDict) -> dict[str, Tensor]:
        """Learn from the rollout that led to observations `[N, ...]`; return the mean losses as scalar tensors."""
        for after_rollout in self.hooks.after_rollout:
            after_rollout(self.storage)
        self._compute_returns(obs)
        self._totals.clear()
        for batch in self.storage.mini_batches(self.config.num_mini_batches, self.config.num_learning_epochs):
            self._update_minibatch(batch)
        for after_update in self.hooks.after_update:
            after_update(self.storage)
        self.policy.update_normalization(self._valid_observations())
        metrics = self._metrics()
        self.storage.clear()
        self._final_obs.clear()
        self._step = 0
        return metrics

    @torch.no_grad()
    def _compute_returns(self, obs: TensorDict) -> None:
        """Fill in what is derived from a whole rollout: values, log-probabilities, returns and advantages."""
        config, storage = self.config, self.storage
        values = storage.column("values")
        values.view(-1).copy_(self._values(storage.observations()))

        distribution = self.policy.distribution
        params = {name: storage.column(f"params/{name}").flatten(0, 1) for name in distribution.param_specs()}
        storage.column("log_prob").view(-1).copy_(
            distribution.log_prob(params, storage.column("actions").flatten(0, 1))
        )

        advantages = generalized_advantages(
            storage.column("rewards"),
            values,
            storage.column("dones"),
            self.policy.values(self._observe(obs)),
            self._final_values(values),
            config.gamma,
            config.lam,
        )
        torch.add(advantages, values, out=storage.column("returns"))
        if config.normalize_advantage == "rollout":
            advantages = standardize(advantages, None if storage.valid is None else advantages[storage.valid])
        storage.column("advantages").copy_(advantages)

    def _valid_observations(self) -> TensorDict:
        observations, valid = self.storage.observations(), self.storage.valid
        return observations if valid is None else observations[valid.flatten().nonzero().squeeze(1)]

    def _final_values(self, values: Tensor) -> Tensor:
        """V(final observation) `[T, N]` where an episode was truncated, 0 elsewhere.

        Where the env keeps no final observations, V of the last observation before the end has to do.
        """
        truncated = self.storage.column("truncated")
        if not self._keeps_final_obs:
            return values * truncated
        final_values = torch.zeros_like(values)
        if self._final_obs:
            rows = torch.tensor(list(self._final_obs), device=self.device)
            final_obs = TensorDict.cat(list(self._final_obs.values()), 0)
            final_values.index_copy_(0, rows, self._values(final_obs).view(len(rows), -1))
        return final_values.mul_(truncated)

    def _values(self, observations: TensorDict) -> Tensor:
        """Values `[B]` of many observations `[B, ...]`, a chunk at a time."""
        return torch.cat([self.policy.values(chunk) for chunk in observations.split(VALUE_CHUNK)])

    def _update_minibatch(self, batch: TensorDict) -> None:
        """One optimizer step."""
        config, distribution = self.config, self.policy.distribution
        advantages = batch["advantages"]
        if config.normalize_advantage == "minibatch":
            advantages = standardize(advantages)

        params, values = self.policy.forward(batch["obs"])
        log_prob = distribution.log_prob(params, batch["actions"])
        ratio = torch.exp(log_prob - batch["log_prob"])
        entropy = distribution.entropy(params).mean()
        old_params = {name: batch[f"params/{name}"] for name in params}
        with torch.no_grad():
            kl = distribution.kl_divergence(old_params, params).mean()
            if config.schedule == "adaptive":
                adapt_learning_rate(self.learning_rate, kl, config.desired_kl)

        surrogate = clipped_surrogate_loss(ratio, advantages, config.clip_param)
        if config.use_clipped_value_loss:
            value = clipped_value_loss(values, batch["values"], batch["returns"], config.clip_param)
        else:
            value = value_loss(values, batch["returns"])
        loss = surrogate + config.value_loss_coef * value - config.entropy_coef * entropy
        self._count({"Loss/surrogate": surrogate, "Loss/value": value, "Loss/entropy": entropy, "Policy/kl": kl})

        outputs = {"params": params, "values": values, "log_prob": log_prob, "ratio": ratio}
        for losses in self.hooks.losses:
            for name, (extra, weight) in losses(batch, outputs).items():
                loss = loss + weight * extra
                self._count({f"Loss/{name}": extra})

        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        for after_minibatch in self.hooks.after_minibatch:
            after_minibatch(batch, outputs)

    def _count(self, scalars: Mapping[str, Tensor]) -> None:
        """Add up scalars on the device."""
        for name, scalar in scalars.items():
            scalar = scalar.detach()
            self._totals[name] = self._totals[name] + scalar if name in self._totals else scalar

    def _metrics(self) -> dict[str, Tensor]:
        distribution = self.policy.distribution
        num_updates = self.config.num_learning_epochs * self.config.num_mini_batches
        metrics = {name: total / num_updates for name, total in self._totals.items()}
        metrics["Loss/learning_rate"] = self.learning_rate.clone()
        params = {name: self.storage.column(f"params/{name}").flatten(0, 1) for name in distribution.param_specs()}
        metrics.update({f"Policy/{name}": value for name, value in distribution.metrics(params).items()})
        for hook in self.hooks.metrics:
            metrics.update(hook())
        return metrics

    def _rate(self, learning_rate: float | str) -> Tensor:
        if learning_rate == "adaptive":
            return self.learning_rate
        return torch.tensor(learning_rate, device=self.device)

    # Acting, and state

    def act_inference(self, obs: TensorDict) -> Tensor:
        """The actions to take without exploring, `[N, A]`, for observations `[N, ...]`."""
        return self.policy.act_inference(self._observe(obs))

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget recurrent state for the envs in `dones [N]`, or for all."""
        self.policy.reset(dones)

    def train_mode(self) -> None:
        """Put the policy and all modules of extensions in training mode."""
        self.modules.train()

    def eval_mode(self) -> None:
        """Put the policy and all modules of extensions in evaluation mode."""
        self.modules.train(False)

    def state_dict(self) -> dict[str, Any]:
        """Modules, optimizer and extensions."""
        return {
            "modules": self.modules.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate.clone(),
            "extensions": {name: extension.state_dict() for name, extension in self._named_extensions().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`; a fixed learning rate belongs to the config and stays.

        Raises:
            CheckpointError: Modules or extensions do not fit; lists every misfit, and nothing is loaded.
        """
        extensions = self._named_extensions()
        if extensions.keys() != state["extensions"].keys():
            raise CheckpointError(
                f"the checkpoint was made with the extensions {listed(state['extensions'])}, "
                f"this config has {listed(extensions)}"
            )
        self.modules.load_state_dict(state["modules"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.config.schedule == "adaptive":
            self.learning_rate.copy_(state["learning_rate"])
        for name, extension in extensions.items():
            extension.load_state_dict(state["extensions"][name])

    def _named_extensions(self) -> dict[str, Extension]:
        """The extensions by name; a second one of a name gets a number."""
        named: dict[str, Extension] = {}
        for component, extension in zip(self.config.extensions, self.extensions, strict=True):
            count = sum(name.partition("#")[0] == component.name for name in named)
            named[f"{component.name}#{count + 1}" if count else component.name] = extension
        return named


def _check_mini_batches(config: PpoConfig, context: Context) -> None:
    rows = context.env_spec.num_envs * context.num_steps_per_env
    count = config.num_mini_batches
    if rows % count:
        divisors = [number for number in range(1, rows + 1) if rows % number == 0]
        near = min(divisors, key=lambda number: abs(number - count))
        raise context.error(
            "num_mini_batches",
            f"{count} does not divide the rollout of {rows} rows ({context.env_spec.num_envs} envs * "
            f"{context.num_steps_per_env} steps); the nearest number that does is {near}",
        )
    standardized = {"rollout": rows, "minibatch": rows // count, "none": 2}[config.normalize_advantage]
    if standardized < 2:
        raise context.error(
            "normalize_advantage",
            f"'{config.normalize_advantage}' has a single row here; collect more, or write 'none'",
        )


def _with_groups(spec: EnvSpec, extensions: list[Extension]) -> EnvSpec:
    groups = dict(spec.observations)
    for extension in extensions:
        groups.update(extension.observation_groups())
    return attrs.evolve(spec, observations=groups)


def _build_actor_critic(context: Context, component: PolicyComponent) -> ActorCriticPolicy:
    policy = context.build(component, "policy")
    if not isinstance(policy, ActorCriticPolicy):
        raise context.error("policy.name", f"'{component.name}' has no actor and critic, which algorithm 'ppo' trains")
    return policy
