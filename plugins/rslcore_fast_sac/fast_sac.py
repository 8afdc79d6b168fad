"""Soft actor-critic for parallel simulation.

Read `act` and `process_env_step` (collecting), then `update` and `_loss` (learning). What extensions may do is
called as `for hook in self.extensions.hooks.<name>`.

Legend: N envs, T steps of an iteration, B rows of a batch, A actions, E critics.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.batch import Batch, ReplayBatch
from rslcore.config import PolicyComponent, StorageComponent
from rslcore.context import Context
from rslcore.device import autocast, check_precision
from rslcore.distributed import gather
from rslcore.extension_list import ExtensionList
from rslcore.heads import LatentTap
from rslcore.hooks import HOOKS
from rslcore.learner import Learner
from rslcore.metrics import Means
from rslcore.modules import ModuleTable
from rslcore.observations import join_valid
from rslcore.optim import make_optimizer
from rslcore.protocols import EnvStep, ReplayStorage
from rslcore.recurrence import InferenceMemory
from rslcore.specs import TensorSpec
from rslcore_fast_sac.checks import SoftActorCriticPolicy, check_actions, check_learning_starts
from rslcore_fast_sac.config import FastSacConfig
from rslcore_fast_sac.losses import actor_loss, critic_loss, soft_values, temperature_loss

_log = logging.getLogger(__name__)

CALLS = frozenset(HOOKS) - {"after_rollout", "after_returns", "augment"}
"""Hooks that are called: all but those of a rollout, and of rows that are added to its minibatches."""


class Temperature(nn.Module):
    """The weight of the entropy against the reward, learned as its logarithm."""

    def __init__(self, init: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(init).log())


class FastSac:
    """Soft actor-critic (Haarnoja et al. 2018) with n-step returns, made to learn in little time from many envs.

    All losses are computed with the weights of before the step, and one optimizer steps actor, critics and temperature
    at once. Observation normalizers take in what an iteration has collected at its end.

    Args:
        config: The options.
        context: The surroundings; gives the env's spec and T.
        policy: A soft actor-critic.
        storage: A replay.

    Raises:
        ConfigError: The env takes discrete actions; the policy has no critics of actions; the storage keeps no replay,
            or never as much as learning waits for.
    """

    def __init__(
        self, config: FastSacConfig, context: Context, policy: PolicyComponent, storage: StorageComponent
    ) -> None:
        self.config = config
        self.device = context.device
        check_precision(context, config.precision)
        check_actions(context)
        self.extensions = ExtensionList(config.extensions, context, CALLS)
        root = attrs.evolve(context, path="", spec=self.extensions.extend(context.env_spec))
        self.policy: SoftActorCriticPolicy = root.build_as(
            SoftActorCriticPolicy, policy, "policy", "has no critics of actions", "write soft_actor_critic"
        )
        self.storage: ReplayStorage = root.build_as(
            ReplayStorage, storage, "storage", "keeps no replay", "write replay"
        )
        check_learning_starts(config, context, self.storage)
        num_actions = context.env_spec.actions.num_actions
        self.storage.add_fields({"actions": TensorSpec((num_actions,))})

        modules = ModuleTable(context.device)
        self.temperature = Temperature(config.init_temperature)
        modules.register("policy", self.policy, groups=self.policy.parameter_groups())
        modules.register("temperature", self.temperature)
        self.extensions.bind(self.policy, modules, self.storage)
        self.learning_rate = torch.tensor(config.learning_rate, device=self.device)
        optimizer = make_optimizer(config.optimizer, modules, self.learning_rate, max_grad_norm=None)
        self.learner = Learner(modules, optimizer, self.extensions, config.precision)

        self._target_entropy = config.target_entropy_per_action * num_actions
        self._latent = LatentTap()
        if self.extensions.reads_outputs:
            self._latent.watch(self.policy, "actor")
        self._keeps_final_obs = context.env_spec.keeps_final_obs
        self._inference = InferenceMemory(self.policy, context.device)
        self._has_learned = False
        self._acted: tuple[TensorDict, Tensor] | None = None
        self._seen: list[tuple[TensorDict, Tensor | None]] = []  # observations of the iteration, which are valid
        self._means = Means()

    # Collecting

    def rollout_context(self) -> AbstractContextManager[Any]:
        """Acting needs no gradients."""
        return torch.no_grad()

    def start_iteration(self, iteration: int, total: int) -> None:
        """Iteration `iteration` of `total`, counted from 0, is about to be collected."""
        for start_iteration in self.extensions.hooks.start_iteration:
            start_iteration(iteration, total)

    def act(self, obs: TensorDict) -> Tensor:
        """Sample actions `[N, A]` for observations `[N, ...]` and store both."""
        obs = self.extensions.observe(obs)
        # The policy of a resumed run acts while the replay fills again.
        actions = self.policy.sample(obs)[0] if self._has_learned else self.policy.random_actions(len(obs))
        self.storage.write_obs(obs)
        self.storage.write("actions", actions)
        actions = self.policy.to_env(actions)
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
        if hooks.shape_reward:
            self._means.add({"Train/mean_shaped_reward": rewards.mean()})
        self._seen.append((transition.obs, step.valid))
        self.storage.write("rewards", rewards)
        self.storage.write("terminated", step.terminated)
        self.storage.write("dones", step.dones)
        self.storage.write_next_obs(transition.next_obs)
        if step.valid is not None or not self._keeps_final_obs:
            # Where an episode was cut and its last observation is not known, there is nothing to bootstrap from.
            self.storage.write_valid(transition.linked | step.terminated)
        for after_step in hooks.after_step:
            after_step(transition)
        if hooks.reset:
            self.extensions.reset(step.resets)
        self.storage.advance()

    # Learning

    def update(self, obs: TensorDict) -> dict[str, Tensor]:
        """Learn from the replay; return the mean losses as scalar tensors."""
        config, storage = self.config, self.storage
        # Ranks that joined a resumed run have nothing in their replays yet, and all learn together.
        if all(gather(storage.num_transitions >= config.learning_starts)):
            batches = (
                storage.sample(config.batch_size, config.num_steps, config.gamma) for _ in range(config.num_updates)
            )
            for batch in self.extensions.draw(batches, config.num_updates, config.batch_size):
                self._means.add(self.learner.minimize(self._loss, batch))
                self.policy.update_targets(config.target_rate)
            self._has_learned = True
        for after_update in self.extensions.hooks.after_update:
            after_update(storage)
        self.policy.update_normalization(join_valid(self._seen))
        self._seen.clear()
        metrics = self._means.collect()
        for hook in self.extensions.hooks.metrics:
            metrics.update(hook())
        return metrics

    def _loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        """The loss of a batch, what is logged, and what extensions may see."""
        policy = self.policy
        temperature = self.temperature.log.detach().exp()
        with autocast(self.device, self.config.precision):
            targets = self._targets(cast(ReplayBatch, batch), temperature)
            features = policy.features(batch.obs)
            q_values = policy.q_values(features, batch["actions"])
            actions, log_prob, watched = policy.sample(batch.obs)
            latent = self._latent.take()
            q_of_actor = policy.q_values(features, actions, frozen=True)
        losses = {
            "critic": critic_loss(q_values, targets),
            "actor": actor_loss(q_of_actor, log_prob, temperature),
            "temperature": temperature_loss(self.temperature.log, log_prob, self._target_entropy),
        }
        logged = {
            **{f"Loss/{name}": loss for name, loss in losses.items()},
            "Policy/entropy": -log_prob.mean(),
            "Policy/temperature": temperature,
            "Policy/mean_q_value": q_values.mean(),
            **{f"Policy/{name}": value for name, value in watched.items()},
        }
        outputs = {"q_values": q_values, "targets": targets, "actions": actions, "log_prob": log_prob, **latent}
        return losses["critic"] + losses["actor"] + losses["temperature"], logged, outputs

    @torch.no_grad()
    def _targets(self, batch: ReplayBatch, temperature: Tensor) -> Tensor:
        """What the critics should say of the batch, `[B]`: rewards of up to n steps, then the soft value of what comes.

        The entropy is counted for in the last of these states only.
        """
        policy = self.policy
        actions, log_prob, _ = policy.sample(batch.next_obs)
        q_values = policy.target_values(policy.features(batch.next_obs), actions)
        return batch.returns + batch.discounts * soft_values(q_values, log_prob, temperature)

    # Acting, and state

    def act_inference(self, obs: TensorDict) -> Tensor:
        """The actions to take without exploring, `[N, A]`, for observations `[N, ...]`."""
        return self.extensions.act(obs, self._inference.act)

    def reset(self, dones: Tensor | None = None) -> None:
        """Let extensions forget the episodes of the envs in `dones [N]`, or of all."""
        self.extensions.reset(dones)

    def train_mode(self) -> None:
        """Put the policy, all modules of extensions and the extensions themselves in training mode."""
        self.learner.train(True)

    def eval_mode(self) -> None:
        """Put the policy, all modules of extensions and the extensions themselves in evaluation mode."""
        self.learner.train(False)

    def state_dict(self) -> dict[str, Any]:
        """Modules, optimizer and extensions."""
        return {**self.learner.state_dict(), "has_learned": self._has_learned}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`.

        Raises:
            CheckpointError: Modules, optimizer or extensions do not fit; nothing is loaded then.
        """
        self.learner.load_state_dict(state)
        self._has_learned = state["has_learned"]

    def local_state_dict(self) -> dict[str, Any]:
        """The replay if it is to be saved, and what extensions remember."""
        return {
            "storage": self.storage.state_dict(),
            "inference": self._inference.state_dict(),
            "extensions": self.extensions.local_state_dict(),
        }

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`.

        Raises:
            CheckpointError: The replay does not fit; nothing is loaded then.
        """
        self.storage.load_state_dict(state["storage"], same_episodes)
        self.extensions.load_local_state_dict(state["extensions"], same_episodes)
        if same_episodes:
            self._inference.load_state_dict(state["inference"])
        if self._has_learned and self.storage.num_transitions < self.config.learning_starts:
            _log.warning(
                "the checkpoint holds no replay (storage.save: false): nothing is learned until %d transitions are "
                "collected again",
                self.config.learning_starts,
            )
