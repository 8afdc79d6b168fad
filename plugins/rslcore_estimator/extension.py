"""An estimator that learns beside the policy.

Legend: N envs, B rows of a minibatch, H observations of a history, D features, E estimated quantities, C size of the
context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore import Batch, Bindings, Extension, Transition
from rslcore.context import Context
from rslcore.observations import concatenate, vector_size
from rslcore.optim import Adam, ParameterGroup
from rslcore.protocols import RolloutStorage
from rslcore.specs import TensorSpec
from rslcore_estimator.config import EstimatorConfig
from rslcore_estimator.losses import divergence_from_prior, squared_error
from rslcore_estimator.networks import EstimatorNetworks, draw


class Estimator(Extension):
    """Adds an observation group: what an encoder tells of other groups from the latest observations.

    With `regression`, as in Ji et al. 2022, Concurrent training of a control policy and a state estimator for dynamic
    and robust legged locomotion. With `variational`, the context-aided estimator of Nahrendra et al. 2023, DreamWaQ.

    The policy reads the estimates that its rollout was made with, as numbers: no gradient of its loss reaches the
    encoder. Targets are read where the encoder learns only, so a trained policy acts without them.

    Args:
        config: The options.
        context: Gives the observation groups and the device.

    Raises:
        ConfigError: The env does not have the groups, or not as 1-D ones, or has one of the name that is added.
    """

    config: EstimatorConfig

    def __init__(self, config: EstimatorConfig, context: Context) -> None:
        super().__init__(config, context)
        if config.output_group in context.env_spec.observations:
            message = f"the env has an observation group '{config.output_group}' already; choose another name"
            raise context.error("output_group", message)
        num_targets = vector_size(context, config.targets, "targets")
        self._num_features, device = vector_size(context, config.groups), context.device
        self.networks = EstimatorNetworks(config, self._num_features, num_targets).to(device)
        learning_rate = torch.tensor(config.learning_rate, device=device)
        self.optimizer = Adam([ParameterGroup(self.networks.parameters(), learning_rate, max_grad_norm=None)])
        # Named after the group, so that two estimators which add the same one are refused.
        self._history_column, self._next_column, self._linked_column = (
            f"{config.output_group}/{name}" for name in ("history", "next", "linked")
        )
        self._histories: Tensor | None = None  # [N, H, D], the present observation last
        self._fresh: Tensor | None = None  # [N], whether the next observation is the first of an episode

    def observation_groups(self) -> Mapping[str, TensorSpec]:
        """The estimate, and the context behind it, `[E + C]`."""
        size = self.networks.num_targets + self.networks.num_context
        return {self.config.output_group: TensorSpec((size,))}

    def bind(self, bindings: Bindings) -> None:
        """Networks, normalizers and the optimizer go into checkpoints."""
        bindings.modules.register(bindings.name, self.networks, optimizer=self.optimizer)
        self._storage = bindings.storage

    def fields(self) -> Mapping[str, TensorSpec]:
        """Columns of what is encoded and, if variational, of what is decoded and whether it is there."""
        columns = {self._history_column: TensorSpec((self.config.history_length, self._num_features))}
        if self.networks.decoder is not None:
            columns |= {
                self._next_column: TensorSpec((self._num_features,)),
                self._linked_column: TensorSpec((), "bool"),
            }
        return columns

    # Acting

    def before_act(self, obs: TensorDict) -> TensorDict:
        """Take the observations into the histories, and add the estimate; contexts are drawn while training."""
        self._histories = self._extended(obs)
        self._fresh = None
        return self._with_estimate(obs, self._histories, draws=self.networks.training)

    def extend_final_obs(self, final_obs: TensorDict) -> TensorDict:
        """Add the estimate, with the mean of a context; the histories stay as they are."""
        return self._with_estimate(final_obs, self._extended(final_obs), draws=False)

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget the histories of envs whose episodes have ended, `[N]`, or of all."""
        if dones is None:
            self._histories, self._fresh = None, None
        else:
            self._fresh = dones if self._fresh is None else self._fresh | dones

    def _extended(self, obs: TensorDict) -> Tensor:
        """The histories `[N, H, D]` with these observations as the latest; a first one is all of its history."""
        rows = concatenate(obs, self.config.groups).unsqueeze(1)
        if self._histories is None or len(self._histories) != len(rows):
            return rows.expand(-1, self.config.history_length, -1)
        extended = torch.cat([self._histories[:, 1:], rows], dim=1)
        return extended if self._fresh is None else torch.where(self._fresh[:, None, None], rows, extended)

    @torch.no_grad()
    def _with_estimate(self, obs: TensorDict, histories: Tensor, draws: bool) -> TensorDict:
        obs = obs.copy()
        obs[self.config.output_group] = self.networks(histories, draws)
        return obs

    # Learning

    def after_step(self, transition: Transition) -> None:
        """Keep what was encoded and, if variational, what is to be decoded."""
        assert self._histories is not None
        self._storage.write(self._history_column, self._histories)
        if self.networks.decoder is not None:
            self._storage.write(self._next_column, concatenate(transition.next_obs, self.config.groups))
            self._storage.write(self._linked_column, transition.linked)

    def after_rollout(self, storage: RolloutStorage) -> None:
        """Merge the rollout into the statistics before it is learned from, so that the first one has some."""
        obs = storage.valid_observations()
        self.networks.features.update(concatenate(obs, self.config.groups))
        self.networks.targets.update(concatenate(obs, self.config.targets))

    def losses(self, batch: Batch, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """The error of the estimate and, if variational, the negative evidence lower bound; not of rows made up."""
        networks, count = self.networks, batch.num_original
        estimates, mean, log_variance = networks.encode(batch[self._history_column][:count])
        targets = networks.targets(concatenate(batch.obs[:count], self.config.targets))
        losses = {"estimator": (squared_error(estimates, targets), 1.0)}
        if networks.decoder is not None:
            # Detached: an estimate that the decoder may shape ends up holding what belongs in the context.
            decoded = networks.decoder(torch.cat([estimates.detach(), draw(mean, log_variance)], dim=-1))
            next_obs = networks.features(batch[self._next_column][:count])
            linked = batch[self._linked_column][:count]
            losses["estimator_reconstruction"] = squared_error(decoded, next_obs, linked), 1.0
            losses["estimator_divergence"] = divergence_from_prior(mean, log_variance), self.config.beta
        return losses

    def after_minibatch(self, batch: Batch, outputs: Mapping[str, Any]) -> None:
        """Step the networks; nobody else drops their gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad()

    def local_state_dict(self) -> dict[str, Any]:
        """The histories, and which of them have ended; networks and optimizer are registered."""
        return {"histories": self._histories, "fresh": self._fresh}

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; new episodes have no history."""
        self.reset()
        if same_episodes and state["histories"] is not None:
            self._histories = state["histories"].to(self.context.device)
            self._fresh = None if state["fresh"] is None else state["fresh"].to(self.context.device)
