"""Distillation of a teacher into a student.

Read `act` and `process_env_step` (collecting), then `update` (learning), then `_step_on` (one optimizer step).

Legend: N envs, T steps of a rollout, B rows of a window, A actions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.batch import Batch
from rslcore.config import PolicyComponent, StorageComponent
from rslcore.context import Context
from rslcore.device import autocast, check_precision
from rslcore.extension_list import ExtensionList
from rslcore.heads import LatentTap
from rslcore.hooks import HOOKS
from rslcore.learner import Learner
from rslcore.metrics import Means
from rslcore.modules import ModuleTable
from rslcore.optim import make_optimizer
from rslcore.protocols import EnvStep, RolloutStorage, StudentTeacherPolicy
from rslcore.recurrence import InferenceMemory, detach, forget, on_device, zero_states
from rslcore_distillation.checks import check_loss
from rslcore_distillation.config import DistillationConfig, TeacherShareConfig
from rslcore_distillation.losses import huber_error, squared_error


class Distillation:
    """The student acts, the teacher supervises (Ross, Gordon and Bagnell 2011, algorithm 3.1).

    An update goes through the rollout in windows of `gradient_length` steps. Through a window, gradients flow back in
    time; from one to the next, the student's state is handed on without them.

    Args:
        config: The options.
        context: The surroundings; gives the env's spec and T.
        policy: A student-teacher policy.
        storage: A rollout storage.

    Raises:
        ConfigError: The policy has no student and teacher, the storage keeps no rollout, the loss does not suit the
            actions, or an extension changes rewards, which nothing here learns from.
    """

    def __init__(
        self, config: DistillationConfig, context: Context, policy: PolicyComponent, storage: StorageComponent
    ) -> None:
        self.config = config
        self.device = context.device
        check_precision(context, config.precision)
        self._num_envs, self._num_steps = context.env_spec.num_envs, context.num_steps_per_env
        check_loss(config, context)
        calls = set(HOOKS) - {"shape_reward", "after_returns"}  # nothing here learns from rewards
        self.extensions = ExtensionList(config.extensions, context, calls)
        root = attrs.evolve(context, path="", spec=self.extensions.extend(context.env_spec))
        self.policy: StudentTeacherPolicy = root.build_as(
            StudentTeacherPolicy, policy, "policy", "has no student and teacher"
        )
        self.storage: RolloutStorage = root.build_as(
            RolloutStorage, storage, "storage", "keeps no rollout", "write rollout"
        )
        actions = self.policy.distribution.action_spec()
        self.storage.add_fields({"actions": actions, "teacher_actions": actions})

        state_specs = self.policy.state_specs()
        self._sequential = bool(state_specs["student"])
        self._zero_state = zero_states(state_specs, self._num_envs, context.device)["student"]
        self._state = self._first_state = self._zero_state
        self._inference = InferenceMemory(self.policy, context.device)

        modules = ModuleTable(context.device)
        modules.register("policy", self.policy, groups=self.policy.parameter_groups())
        self.extensions.bind(self.policy, modules, self.storage)
        self._latent = LatentTap()
        if self.extensions.reads_outputs:
            self._latent.watch(self.policy, "student")
        self.learning_rate = torch.tensor(config.learning_rate, device=self.device)
        optimizer = make_optimizer(config.optimizer, modules, self.learning_rate, config.max_grad_norm)
        self.learner = Learner(modules, optimizer, self.extensions, config.precision)
        self._teacher_share = config.teacher_share.initial
        self._acted: tuple[TensorDict, Tensor] | None = None
        self._means = Means()

    # Collecting a rollout

    def rollout_context(self) -> AbstractContextManager[Any]:
        """Nothing in the rollout needs gradients; the student acts again in the update."""
        return torch.no_grad()

    def start_iteration(self, iteration: int, total: int) -> None:
        """Iteration `iteration` of `total`, counted from 0, is about to be collected."""
        self._teacher_share = teacher_share(self.config.teacher_share, iteration)
        for start_iteration in self.extensions.hooks.start_iteration:
            start_iteration(iteration, total)

    def act(self, obs: TensorDict) -> Tensor:
        """Actions `[N, A]` of the student, or, by its share, of the teacher, for observations `[N, ...]`."""
        # What extensions do to observations is the student's; the teacher brings its own.
        teacher_actions = self.policy.teacher_actions(obs)
        obs = self.extensions.observe(obs)
        params, self._state = self.policy.student_params(obs, self._state)
        actions = self.policy.distribution.sample(params)
        if self._teacher_share > 0.0:
            teacher_acts = torch.rand(len(actions), 1, device=self.device) < self._teacher_share
            actions = torch.where(teacher_acts, teacher_actions, actions)
        self.storage.write_obs(obs)
        self.storage.write("actions", actions)
        self.storage.write("teacher_actions", teacher_actions)
        self._acted = obs, actions
        for after_act in self.extensions.hooks.after_act:
            after_act(obs, actions)
        return actions

    def process_env_step(self, step: EnvStep) -> None:
        """Store where episodes ended; student and teacher forget them."""
        assert self._acted is not None
        self.storage.write("dones", step.dones)
        if step.valid is not None:
            self.storage.write_valid(step.valid)
        self._state = forget(self._state, step.resets)
        self.policy.reset_teacher(step.resets)
        if self.extensions.hooks.after_step:
            transition = self.extensions.transition(*self._acted, step)
            for after_step in self.extensions.hooks.after_step:
                after_step(transition)
        if self.extensions.hooks.reset:
            self.extensions.reset(step.resets)
        self.storage.advance()

    # Learning from it

    def update(self, obs: TensorDict) -> dict[str, Tensor]:
        """Learn from the rollout; return the mean losses as scalar tensors."""
        config, hooks = self.config, self.extensions.hooks
        for after_rollout in hooks.after_rollout:
            after_rollout(self.storage)
        window = min(config.gradient_length, self._num_steps)
        num_updates = config.num_learning_epochs * -(-self._num_steps // window)
        for batch in self.extensions.draw(self._windows(), num_updates, window * self._num_envs):
            self._means.add(self.learner.minimize(self._loss, batch), batch.weight)
        # The next rollout goes on from what the student remembered at the end of the last epoch: that is nearer to what
        # it is now than what it remembered while collecting.
        self._first_state = self._state
        for after_update in hooks.after_update:
            after_update(self.storage)
        self.policy.update_normalization(self.storage.valid_observations())
        metrics = self._means.collect()
        metrics["Loss/learning_rate"] = self.learning_rate.clone()
        metrics["Policy/teacher_share"] = torch.tensor(self._teacher_share)
        for hook in hooks.metrics:
            metrics.update(hook())
        self.storage.clear()
        return metrics

    def _windows(self) -> Iterator[Batch]:
        """The windows of all epochs, each with what the student remembers before its sequences."""
        for _ in range(self.config.num_learning_epochs):
            self._state = self._first_state
            for batch in self.storage.windows(self.config.gradient_length, sequential=self._sequential):
                if batch.sequences is not None:
                    batch.states = {"student": batch.sequences.first_states(self._state)}
                yield batch

    def _loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        """The loss of a window, what is logged, and what extensions may see."""
        distribution = self.policy.distribution
        with autocast(self.device, self.config.precision):
            params, states = self.policy.student_params(batch.obs, batch.states.get("student", {}), batch.sequences)
        params = {name: param.float() for name, param in params.items()}
        if batch.sequences is not None:
            ends = detach(batch.sequences.last_states(states, self._num_envs))
            self._state = {name: part.to(self._zero_state[name].dtype) for name, part in ends.items()}
        actions = distribution.deterministic(params)
        if self.config.loss_type == "log_likelihood":
            errors = -distribution.log_prob(params, batch["teacher_actions"])
        else:
            error = squared_error if self.config.loss_type == "mse" else huber_error
            errors = error(actions, batch["teacher_actions"])
        behavior = errors.mean()
        # The sum over the steps of a window, each a mean over envs: a longer window makes a larger step. Rows that
        # extensions add are more envs, not more steps. Of several ranks the learner weighs the rows of each.
        num_rows = batch.num_original / batch.weight
        loss = behavior * (num_rows / self._num_envs)
        return loss, {"Loss/behavior": behavior}, {"params": params, "actions": actions, **self._latent.take()}

    # Acting, and state

    def act_inference(self, obs: TensorDict) -> Tensor:
        """What the student does without exploring, `[N, A]`, for observations `[N, ...]`."""
        return self.extensions.act(obs, self._inference.act)

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget what `act_inference` remembers of the envs in `dones [N]`, or of all."""
        self._inference.reset(dones)
        self.extensions.reset(dones)

    def train_mode(self) -> None:
        """Put the student and all modules of extensions in training mode; the teacher stays as it is."""
        self.learner.train(True)

    def eval_mode(self) -> None:
        """Put the student and all modules of extensions in evaluation mode."""
        self.learner.train(False)

    def state_dict(self) -> dict[str, Any]:
        """Modules, the teacher among them, optimizer and extensions."""
        return self.learner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`.

        Raises:
            CheckpointError: Modules, optimizer or extensions do not fit; nothing is loaded then.
        """
        self.learner.load_state_dict(state)
        self._state = self._first_state = self._zero_state
        self._inference.reset()

    def local_state_dict(self) -> dict[str, Any]:
        """What student, teacher and extensions remember."""
        return {
            "states": {"student": self._state},
            "inference": self._inference.state_dict(),
            "teacher": self.policy.teacher_local_state_dict(),
            "extensions": self.extensions.local_state_dict(),
        }

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; of new episodes, student and teacher remember nothing."""
        self.extensions.load_local_state_dict(state["extensions"], same_episodes)
        self.policy.load_teacher_local_state_dict(state["teacher"], same_episodes)
        if same_episodes:
            self._state = self._first_state = on_device(state["states"], self.device)["student"]
            self._inference.load_state_dict(state["inference"])


def teacher_share(config: TeacherShareConfig, iteration: int) -> float:
    """Share of teacher actions in iteration `iteration`, counted from 0."""
    done = min(iteration / config.num_iterations, 1.0)
    return config.initial + done * (config.final - config.initial)
