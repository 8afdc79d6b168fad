"""Proximal policy optimization.

Read `act` and `process_env_step` (collecting), then `update` (learning), then `objective.py` (the losses). What
extensions may do is called as `for hook in self.extensions.hooks.<name>`.

Legend: N envs, T steps of a rollout, B rows of a minibatch, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.batch import Batch
from rslcore.config import PolicyComponent, StorageComponent
from rslcore.context import Context
from rslcore.device import check_precision
from rslcore.distributed import mean_over_ranks
from rslcore.execution import Executor, Workload
from rslcore.extension_list import ExtensionList
from rslcore.learner import Learner
from rslcore.metrics import Means
from rslcore.micro_batches import default_rows, part_sizes
from rslcore.modules import ModuleTable
from rslcore.optim import make_optimizer
from rslcore.protocols import ActorCriticPolicy, EnvStep, RolloutStorage
from rslcore.recurrence import InferenceMemory, forget, on_device, zero_states
from rslcore.returns import generalized_advantages, standardize
from rslcore.specs import TensorSpec
from rslcore_ppo.checks import check_mini_batches
from rslcore_ppo.config import PpoConfig
from rslcore_ppo.losses import adapt_learning_rate
from rslcore_ppo.objective import Objective
from rslcore_ppo.values import evaluate_rollout


class PPO:
    """PPO with clipped surrogate and value losses, GAE, and an adaptive learning rate (Schulman et al. 2017).

    The values of a rollout are computed in one pass after it; observation normalizers stand still from the first step
    of a rollout to the last minibatch, so that the first ratio is 1 but for rounding. If the actor or the critic is
    recurrent, minibatches are whole rollouts of some of the envs.

    Args:
        config: The options.
        context: The surroundings; gives the env's spec and T.
        policy: An actor-critic policy.
        storage: A rollout storage.

    Raises:
        ConfigError: The policy is no actor-critic, the storage keeps no rollout, or the minibatches do not divide it.
    """

    def __init__(self, config: PpoConfig, context: Context, policy: PolicyComponent, storage: StorageComponent) -> None:
        self.config = config
        self.device = context.device
        check_precision(context, config.precision)
        self.extensions = ExtensionList(config.extensions, context)
        root = attrs.evolve(context, path="", spec=self.extensions.extend(context.env_spec))
        self.policy: ActorCriticPolicy = root.build_as(ActorCriticPolicy, policy, "policy", "has no actor and critic")
        self.storage: RolloutStorage = root.build_as(
            RolloutStorage, storage, "storage", "keeps no rollout", "write rollout"
        )

        state_specs = {"actor": {}, "critic": {}, **self.policy.state_specs()}
        self._sequential = any(state_specs.values())
        self._num_rows = check_mini_batches(config, context, self._sequential)
        # What the networks remember of the running episodes, and what they remembered when the rollout began.
        self._zero_states = zero_states(state_specs, context.env_spec.num_envs, context.device)
        self._states, self._first_states = dict(self._zero_states), dict(self._zero_states)
        self._inference = InferenceMemory(self.policy, context.device)

        distribution = self.policy.distribution
        self.storage.add_fields(
            {
                "actions": distribution.action_spec(),
                **{f"params/{name}": spec for name, spec in distribution.param_specs().items()},
                "rewards": TensorSpec(()),
                "truncated": TensorSpec((), "bool"),
                "values": TensorSpec(()),
                "log_prob": TensorSpec(()),
                "returns": TensorSpec(()),
                "advantages": TensorSpec(()),
            }
        )
        modules = ModuleTable(context.device)
        modules.register("policy", self.policy, groups=self.policy.parameter_groups())
        self.extensions.bind(self.policy, modules, self.storage)
        objective = Objective(config, self.policy, context.device, self.extensions.reads_outputs)
        micro_rows = config.micro_batch_size or default_rows(context.device, root.env_spec.observations)
        executor = Executor(config.execution, context, self._workload())
        sizes = (self._num_rows, *part_sizes(self._num_rows, micro_rows))
        self._objective = executor.prepare_loss(objective, "the losses", sizes)
        self._actor_params = executor.prepare(self.policy.actor_params, "the actor's outputs")
        self.learning_rate = torch.tensor(config.learning_rate, device=self.device)
        optimizer = make_optimizer(config.optimizer, modules, self.learning_rate, config.max_grad_norm)
        self.learner = Learner(modules, optimizer, self.extensions, config.precision, micro_rows)

        self._bootstraps_final_obs = config.bootstrap == "final_observation" and context.env_spec.keeps_final_obs
        self._acted: tuple[TensorDict, Tensor] | None = None
        self._final_obs: dict[int, TensorDict] = {}  # by step of the rollout
        self._step = 0
        self._means = Means()

    def _workload(self) -> Workload:
        config = self.config
        obstacle = "a recurrent policy gains nothing by being compiled" if self._sequential else ""
        if not self.extensions.are_row_wise:
            obstacle = "an extension may go back through what is compiled twice (it is not `is_row_wise`)"
        return Workload(
            config.num_learning_epochs * config.num_mini_batches,
            self._num_rows,
            sum(each.numel() for group in self.policy.parameter_groups().values() for each in group),
            config.micro_batch_size is not None,
            obstacle,
        )

    # Collecting a rollout

    def rollout_context(self) -> AbstractContextManager[Any]:
        """Nothing in PPO's rollout needs gradients."""
        return torch.no_grad()

    def start_iteration(self, iteration: int, total: int) -> None:
        """Iteration `iteration` of `total`, counted from 0, is about to be collected."""
        for start_iteration in self.extensions.hooks.start_iteration:
            start_iteration(iteration, total)

    def act(self, obs: TensorDict) -> Tensor:
        """Sample actions `[N, A]` for observations `[N, ...]` and store both."""
        obs = self.extensions.observe(obs)
        distribution = self.policy.distribution
        params, self._states["actor"] = self._actor_params(obs, self._states["actor"])
        actions = distribution.sample(params)
        self.storage.write_obs(obs)
        self.storage.write("actions", actions)
        for name, param in params.items():
            self.storage.write(f"params/{name}", param)
        self._acted = obs, actions
        for after_act in self.extensions.hooks.after_act:
            after_act(obs, actions)
        return actions

    def process_env_step(self, step: EnvStep) -> None:
        """Store what the env made of the last actions."""
        assert self._acted is not None
        hooks = self.extensions.hooks
        transition = self.extensions.transition(*self._acted, step)
        rewards = step.rewards
        for shape_reward in hooks.shape_reward:
            rewards = shape_reward(transition, rewards)
        self.storage.write("rewards", rewards)
        self.storage.write("dones", step.dones)
        # A time limit that falls on a terminal state cuts nothing off.
        self.storage.write("truncated", step.truncated & ~step.terminated)
        if step.final_obs is not None and self._bootstraps_final_obs:
            self._final_obs[self._step] = transition.next_obs
        if step.valid is not None:
            self.storage.write_valid(step.valid)
        if self._states["actor"]:
            self._states["actor"] = forget(self._states["actor"], step.resets)
        for after_step in hooks.after_step:
            after_step(transition)
        if hooks.reset:
            self.extensions.reset(step.resets)
        self.storage.advance()
        self._step += 1

    # Learning from it

    def update(self, obs: TensorDict) -> dict[str, Tensor]:
        """Learn from the rollout that led to observations `[N, ...]`; return the mean losses as scalar tensors."""
        config, hooks = self.config, self.extensions.hooks
        for after_rollout in hooks.after_rollout:
            after_rollout(self.storage)
        self._compute_returns(obs)
        batches = self.storage.mini_batches(
            config.num_mini_batches, config.num_learning_epochs, shuffle=config.shuffle, sequential=self._sequential
        )
        num_updates = config.num_learning_epochs * config.num_mini_batches
        for batch in self.extensions.draw(map(self._with_states, batches), num_updates, self._num_rows):
            if config.normalize_advantage == "minibatch":
                advantages = batch["advantages"]
                batch.columns["advantages"] = standardize(advantages, advantages[: batch.num_original])
            logged = self.learner.minimize(self._objective, batch, partial(self._follow_kl, batch))
            self._means.add(logged, batch.weight)
        for after_update in hooks.after_update:
            after_update(self.storage)
        self.policy.update_normalization(self.storage.valid_observations())
        metrics = self._metrics()
        self.storage.clear()
        self._final_obs.clear()
        self._first_states = dict(self._states)
        self._step = 0
        return metrics

    @torch.no_grad()
    def _compute_returns(self, obs: TensorDict) -> None:
        """Fill in what is derived from a whole rollout: values, log-probabilities, returns and advantages."""
        config, storage, distribution = self.config, self.storage, self.policy.distribution
        last_obs = self.extensions.peek(obs)
        critic = evaluate_rollout(self.policy, storage, last_obs, self._final_obs, self._first_states["critic"])
        self._states["critic"] = critic.state
        storage.column("values").copy_(critic.values)

        params = {name: storage.column(f"params/{name}").flatten(0, 1) for name in distribution.param_specs()}
        storage.column("log_prob").view(-1).copy_(
            distribution.log_prob(params, storage.column("actions").flatten(0, 1))
        )

        cut_off = critic.final_values if self._bootstraps_final_obs else critic.values
        advantages = generalized_advantages(
            storage.column("rewards"),
            critic.values,
            storage.column("dones"),
            critic.last_values,
            cut_off * storage.column("truncated"),
            config.gamma,
            config.lam,
            storage.valid,
        )
        torch.add(advantages, critic.values, out=storage.column("returns"))
        if self.extensions.hooks.after_returns:
            storage.column("advantages").copy_(advantages)
            outputs = {
                "values": critic.values,
                "last_values": critic.last_values,
                "last_obs": last_obs,
                "final_obs": self._final_obs,
            }
            for after_returns in self.extensions.hooks.after_returns:
                after_returns(storage, outputs)
            advantages = storage.column("advantages")
        if config.normalize_advantage == "rollout":
            advantages = standardize(advantages, None if storage.valid is None else advantages[storage.valid])
        storage.column("advantages").copy_(advantages)

    def _with_states(self, batch: Batch) -> Batch:
        """The minibatch with what actor and critic remembered before its sequences."""
        if batch.sequences is not None:
            batch.states = {name: batch.sequences.first_states(state) for name, state in self._first_states.items()}
        return batch

    def _follow_kl(self, batch: Batch, logged: Mapping[str, Tensor]) -> None:
        """Let the learning rate follow how far the minibatch's gradients begin from the policy of the rollout."""
        if self.config.schedule == "adaptive":
            kl = mean_over_ranks(logged["Policy/kl"], batch.num_original)  # one rate on all ranks
            adapt_learning_rate(self.learning_rate, kl, self.config.desired_kl)

    def _metrics(self) -> dict[str, Tensor]:
        distribution = self.policy.distribution
        metrics = self._means.collect()
        metrics["Loss/learning_rate"] = self.learning_rate.clone()
        params = {name: self.storage.column(f"params/{name}").flatten(0, 1) for name in distribution.param_specs()}
        metrics.update({f"Policy/{name}": value for name, value in distribution.metrics(params).items()})
        if self.extensions.hooks.shape_reward:
            metrics["Train/mean_shaped_reward"] = self.storage.column("rewards").mean()
        for hook in self.extensions.hooks.metrics:
            metrics.update(hook())
        return metrics

    # Acting, and state

    def act_inference(self, obs: TensorDict) -> Tensor:
        """The actions to take without exploring, `[N, A]`, for observations `[N, ...]`."""
        return self.extensions.act(obs, self._inference.act)

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget what `act_inference` remembers of the envs in `dones [N]`, or of all."""
        self._inference.reset(dones)
        self.extensions.reset(dones)

    def train_mode(self) -> None:
        """Put the policy, all modules of extensions and the extensions themselves in training mode."""
        self.learner.train(True)

    def eval_mode(self) -> None:
        """Put the policy, all modules of extensions and the extensions themselves in evaluation mode."""
        self.learner.train(False)

    def state_dict(self) -> dict[str, Any]:
        """Modules, optimizer and extensions."""
        return {**self.learner.state_dict(), "learning_rate": self.learning_rate.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`; a fixed learning rate belongs to the config and stays.

        Raises:
            CheckpointError: Modules, optimizer or extensions do not fit; nothing is loaded then.
        """
        self.learner.load_state_dict(state)
        if self.config.schedule == "adaptive":
            self.learning_rate.copy_(state["learning_rate"])
        self._states, self._first_states = dict(self._zero_states), dict(self._zero_states)
        self._inference.reset()

    def local_state_dict(self) -> dict[str, Any]:
        """What networks and extensions remember."""
        return {
            "states": self._states,
            "inference": self._inference.state_dict(),
            "extensions": self.extensions.local_state_dict(),
        }

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; of new episodes, networks remember nothing."""
        self.extensions.load_local_state_dict(state["extensions"], same_episodes)
        if same_episodes:
            self._states = on_device(state["states"], self.device)
            self._first_states = dict(self._states)
            self._inference.load_state_dict(state["inference"])
