"""Random network distillation.

Legend: N envs, T steps of a rollout, B rows of a minibatch, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rslcore import Batch, Bindings, Extension, Transition
from rslcore.context import Context
from rslcore.observations import concatenate, join_valid, vector_size
from rslcore.optim import Adam, ParameterGroup
from rslcore.protocols import RolloutStorage, Storage
from rslcore.specs import TensorSpec
from rslcore_rnd.config import RndConfig
from rslcore_rnd.networks import RandomNetworkDistillation
from rslcore_rnd.schedule import scheduled_weight


class Rnd(Extension):
    """Rewards observations on which a predictor still differs from a random network.

    Burda et al. 2019, Exploration by random network distillation; Schwarke et al. 2023, Curiosity-driven learning of
    joint locomotion and manipulation tasks.

    Predictor and normalizer learn from what was rewarded, the last observations of episodes among it: what is rewarded
    but never learned from would stay new for ever. A column `[T, N, D]` of the storage holds it. Only with
    `reward_observation: next` do they learn from what was acted on.

    Of a rollout another column, `[T, N, num_outputs]`, holds the target's outputs: what they were made of stands still
    until all epochs are over. A replay outlives the statistics that inputs are normalized with.

    Args:
        config: The options.
        context: Gives the observation groups, N and the device.

    Raises:
        ConfigError: The env does not have the groups, or not as 1-D ones.
    """

    config: RndConfig
    is_row_wise = True

    def __init__(self, config: RndConfig, context: Context) -> None:
        super().__init__(config, context)
        self._num_features, device = vector_size(context, config.groups), context.device
        self.networks = RandomNetworkDistillation(config, self._num_features, context.env_spec.num_envs).to(device)
        learning_rate = torch.tensor(config.learning_rate, device=device)
        self.optimizer = Adam([ParameterGroup(self.networks.predictor.parameters(), learning_rate, max_grad_norm=None)])
        self._steps = 0
        self._weight = config.weight
        self._section = "Rnd"
        self._seen: list[tuple[Tensor, Tensor | None]] = []  # of the iteration, and which rows are transitions

    @property
    def weight(self) -> float:
        """The latest weight of the reward, by the schedule."""
        return self._weight

    def bind(self, bindings: Bindings) -> None:
        """Networks and normalizers go into checkpoints, the predictor's optimizer too."""
        bindings.modules.register(bindings.name, self.networks, optimizer=self.optimizer)
        self._storage = bindings.storage
        self._column = f"{bindings.name}/observation" if self.config.reward_observation == "final" else None
        self._embedding = f"{bindings.name}/embedding" if isinstance(bindings.storage, RolloutStorage) else None
        number = bindings.name.partition("#")[2]
        self._section = f"Rnd#{number}" if number else "Rnd"

    def fields(self) -> Mapping[str, TensorSpec]:
        """A column of what was rewarded, where that is learned from, and of a rollout one of the target's outputs."""
        widths = {self._column: self._num_features, self._embedding: self.config.num_outputs}
        return {name: TensorSpec((width,)) for name, width in widths.items() if name is not None}

    @torch.no_grad()
    def shape_reward(self, transition: Transition, rewards: Tensor) -> Tensor:
        """Add the weighted distance between predictor and target at the observation that the step led to."""
        step = transition.step
        obs = step.obs if self._column is None else transition.next_obs
        self._steps += 1
        self._weight = scheduled_weight(self.config.weight, self.config.weight_schedule, self._steps)
        states = concatenate(obs, self.config.groups)
        self._embeddings = self.networks.embed(states)
        bonus: Tensor = torch.linalg.vector_norm(self.networks(states, self._embeddings), dim=-1)
        if self.networks.reward_scale is not None:
            self.networks.reward_scale.update(bonus, step.valid)
            bonus = self.networks.reward_scale(bonus)
        bonus = self._weight * bonus
        transition.add_to_episode(f"{self._section}/mean_extrinsic_reward", step.rewards)
        transition.add_to_episode(f"{self._section}/mean_intrinsic_reward", bonus)
        return rewards + bonus

    @torch.no_grad()
    def after_step(self, transition: Transition) -> None:
        """Keep what was rewarded or, if that is not learned from, note what was acted on."""
        obs = transition.obs if self._column is None else transition.next_obs
        states = concatenate(obs, self.config.groups)
        if self._column is not None:
            self._storage.write(self._column, states)
        if self._embedding is not None:
            embeddings = self.networks.embed(states) if self._column is None else self._embeddings
            self._storage.write(self._embedding, embeddings)
        if self.networks.state_normalizer is not None:
            self._seen.append((states, transition.step.valid))

    def losses(self, batch: Batch, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """The predictor's mean squared error on what was rewarded, not on rows that other extensions made up."""
        if self._column is None:
            states = concatenate(batch.obs[: batch.num_original], self.config.groups)
        else:
            states = batch[self._column][: batch.num_original]
        embeddings = None if self._embedding is None else batch[self._embedding][: batch.num_original]
        return {"rnd": (self.networks(states, embeddings).square().mean(), 1.0)}

    def after_minibatch(self, batch: Batch, outputs: Mapping[str, Any]) -> None:
        """Step the predictor; nobody else drops its gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad()

    def after_update(self, storage: Storage) -> None:
        """Merge what was collected into the statistics of the inputs, which stood still since it began."""
        if self.networks.state_normalizer is not None:
            self.networks.state_normalizer.update(join_valid(self._seen))
            self._seen.clear()

    def metrics(self) -> Mapping[str, Tensor]:
        """The latest weight. Of the episodes that ended lately, the run reports what env and extension rewarded."""
        return {f"{self._section}/weight": torch.tensor(self._weight, device=self.context.device)}

    def state_dict(self) -> dict[str, Any]:
        """Env steps so far, by which the weight goes."""
        return {"steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._steps = state["steps"]

    def local_state_dict(self) -> dict[str, Any]:
        """The discounted sums of rewards."""
        scale = self.networks.reward_scale
        return {"sums": None if scale is None else scale.sums.clone()}

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; the sums run over the ends of episodes."""
        scale, sums = self.networks.reward_scale, state["sums"]
        if scale is not None and sums is not None:
            scale.sums.copy_(sums)
