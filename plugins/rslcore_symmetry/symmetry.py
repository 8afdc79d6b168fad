"""Symmetry (Mittal et al. 2024): mirrored transitions are as good as real ones, and a mirrored state asks for the
mirrored action.

Recurrent policies: a mirrored sequence needs the memory that its mirrored past would have left. Each env therefore has
a twin for every mirrored copy, which lives through the mirrored observations; what the twin remembers at the beginning
of a rollout is the state that mirrored sequences begin with.

Legend: N envs, B rows of a minibatch, K copies of a row: itself and its mirrored ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor
from torch.nn import functional

from rslcore.batch import Batch
from rslcore.context import Context
from rslcore.errors import ExtensionError
from rslcore.extension import Bindings, Extension
from rslcore.protocols import ActorCriticPolicy, RolloutStorage, Storage
from rslcore.recurrence import Sequences, State, interleave, on_device, zero_states
from rslcore_symmetry.config import SymmetryConfig
from rslcore_symmetry.mirror import count_copies, find_mirror


class Symmetry(Extension):
    """Data augmentation and mirror loss.

    Args:
        config: The options.
        context: The surroundings of the algorithm.

    Raises:
        ConfigError: The function that mirrors is not found or does not do so, or a mirror loss is asked for where
            actions are discrete; in an update, if another extension adds rows too.
    """

    config: SymmetryConfig
    is_row_wise = True

    def __init__(self, config: SymmetryConfig, context: Context) -> None:
        super().__init__(config, context)
        # A policy that is loaded for acting is not mirrored, and the function may not be installed there.
        self._function = find_mirror(config.function, context) if context.env is not None else None
        self._is_discrete = context.env_spec.actions.is_discrete
        if config.use_mirror_loss and self._is_discrete:
            raise context.error("use_mirror_loss", "is for continuous actions; discrete ones have no distance")

    def bind(self, bindings: Bindings) -> None:
        """Try the function out; make the twins of recurrent policies."""
        policy = bindings.policy
        if not isinstance(policy, ActorCriticPolicy):
            raise self.context.error("name", "'symmetry' needs a policy with an actor and a critic")
        self._policy = policy
        if self._function is None:
            return
        groups = dict(bindings.groups)
        self._copies = count_copies(self._function, groups, policy.distribution.action_spec(), self.context)
        self._twins = self._next_twins = self._new_twins()

    @torch.no_grad()
    def after_rollout(self, storage: RolloutStorage) -> None:
        """Let the twins live through the mirrored rollout."""
        if not self._twins[0]:
            return
        rows, sequences = storage.sequences()
        mirrored, _ = self._mirror(storage.observations()[rows], None)
        num_envs = self.context.env_spec.num_envs
        self._next_twins = []
        for twin, obs in zip(self._twins, mirrored.split(len(rows))[1:], strict=True):
            ends: dict[str, State] = {}
            for name, state in twin.items():
                run = self._policy.actor_params if name == "actor" else self._policy.values
                ends[name] = run(obs, sequences.first_states(state), sequences)[1]
            self._next_twins.append({name: sequences.last_states(end, num_envs) for name, end in ends.items()})

    def augment(self, batch: Batch) -> Batch:
        """Put the mirrored rows behind the original ones."""
        if not self.config.use_data_augmentation:
            return batch
        obs, actions = self._mirror(batch.obs, batch["actions"])
        sequences, states = self._mirrored_sequences(batch)
        columns = {name: torch.cat([column] * self._copies) for name, column in batch.columns.items()}
        columns["actions"] = actions
        return attrs.evolve(batch, columns=columns, obs=obs, sequences=sequences, states=states)

    def losses(self, batch: Batch, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """How far the actions in mirrored states are from mirrored actions: their mean squared distance."""
        if self._is_discrete:
            return {}
        with torch.set_grad_enabled(self.config.use_mirror_loss):
            actions = self._policy.distribution.deterministic(self._mirrored_params(batch, outputs["params"]))
            count = batch.num_original
            _, targets = self._mirror(None, actions[:count].detach())
            loss = functional.mse_loss(actions[count : self._copies * count], targets[count:])
        return {"symmetry": (loss, self.config.mirror_loss_coeff if self.config.use_mirror_loss else 0.0)}

    def after_update(self, storage: Storage) -> None:
        """The next rollout begins where the twins are now."""
        self._twins = self._next_twins

    def local_state_dict(self) -> dict[str, Any]:
        """What the twins remember."""
        return {"twins": self._twins if self._function is not None else []}

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; of new episodes the twins have seen nothing."""
        if self._function is not None:
            device = self.context.device
            twins = [on_device(twin, device) for twin in state["twins"]] if same_episodes else self._new_twins()
            self._twins = self._next_twins = twins

    def _mirrored_params(self, batch: Batch, params: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The actor's parameters for the original rows and the mirrored ones, `[K * B, ...]`."""
        if self.config.use_data_augmentation:
            return params
        sequences, states = self._mirrored_sequences(batch)
        mirrored, _ = self._mirror(batch.obs, None)
        params, _ = self._policy.actor_params(mirrored, states.get("actor", {}), sequences)
        return params

    def _mirror(self, obs: TensorDict | None, actions: Tensor | None) -> tuple[Any, Any]:
        """Call the function; `[K * B, ...]` of each that is not None."""
        assert self._function is not None
        try:
            return self._function(env=self.context.env, obs=obs, actions=actions)
        except Exception as error:  # the function is the user's code
            reason = f"{type(error).__name__}: {error}"
            raise ExtensionError(f"the mirror function '{self.config.function}' failed: {reason}") from error

    def _new_twins(self) -> list[dict[str, State]]:
        """The states of twins that have seen nothing, one item a mirrored copy."""
        specs = {name: inner for name, inner in self._policy.state_specs().items() if inner}
        num_envs = self.context.env_spec.num_envs
        return [zero_states(specs, num_envs, self.context.device) for _ in range(self._copies - 1)]

    def _mirrored_sequences(self, batch: Batch) -> tuple[Sequences | None, dict[str, State]]:
        """Sequences and states of the original rows and the mirrored ones."""
        if len(batch) != batch.num_original:
            raise self.context.error("name", "'symmetry' cannot mirror rows that other extensions add; use it alone")
        if batch.sequences is None:
            return None, {}
        states: dict[str, State] = {}
        for name, state in batch.states.items():
            twins = [batch.sequences.first_states(twin[name]) for twin in self._twins] if state else []
            states[name] = interleave([state, *twins])
        return batch.sequences.tile(self._copies), states
