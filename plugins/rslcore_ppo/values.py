"""The critic's values of a whole rollout, in one pass after it.

This is exact, since weights and normalizers stand still from the first step of a rollout to the end of its evaluation.

Legend: N envs, T steps of a rollout, K of them with final observations.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.protocols import ActorCriticPolicy, RolloutStorage
from rslcore.recurrence import State

CHUNK = 16_384
"""Rows per pass of a feed-forward critic: many for a GPU, few enough to keep the temporaries small."""
CHUNK_BYTES = 2**26
"""Most bytes of observations in such a pass, for what an encoder makes of images is as large as they are."""


@attrs.frozen
class RolloutValues:
    """What returns are computed from.

    Attributes:
        values: V(s_t), `[T, N]`.
        last_values: V(s_T), `[N]`.
        final_values: V(final observation) where step t has one, 0 elsewhere, `[T, N]`; of no meaning where no episode
            ended.
        state: Of the critic after the rollout, for the next one.
    """

    values: Tensor
    last_values: Tensor
    final_values: Tensor
    state: State


def evaluate_rollout(
    policy: ActorCriticPolicy,
    storage: RolloutStorage,
    last_obs: TensorDict,
    final_obs: Mapping[int, TensorDict],
    state: State,
) -> RolloutValues:
    """Evaluate a rollout.

    Args:
        policy: Has the critic.
        storage: Has the observations, and where episodes ended.
        last_obs: s_T, `[N, ...]`.
        final_obs: By step, the true last observations of the episodes that ended with it, `[N, ...]`.
        state: Of the critic before the rollout; empty for a feed-forward one.
    """
    num_steps, num_envs = storage.column("dones").shape
    observations = storage.observations()
    finals = TensorDict.cat(list(final_obs.values()), 0) if final_obs else None
    steps = torch.tensor(list(final_obs), device=storage.column("dones").device)
    if not state:
        values = _chunked(policy, observations)
        last_values, _ = policy.values(last_obs, {})
        values_of_finals = None if finals is None else _chunked(policy, finals)
    else:
        rows, sequences = storage.sequences()
        packed, ends = policy.values(observations[rows], sequences.first_states(state), sequences)
        values = torch.zeros(num_steps * num_envs, device=packed.device).index_copy(0, rows, packed)
        state = sequences.last_states(ends, num_envs)
        last_values, _ = policy.values(last_obs, state)
        values_of_finals = None
        if finals is not None:
            # A final observation is the next one of the sequence to which the row before it belongs.
            sequence_of = torch.zeros_like(rows.new_empty(num_steps * num_envs)).index_copy(0, rows, sequences.of_rows)
            before = sequence_of.view(num_steps, num_envs)[steps].flatten()
            values_of_finals, _ = policy.values(finals, {name: part[before] for name, part in ends.items()})
    values = values.view(num_steps, num_envs)
    final_values = torch.zeros_like(values)
    if values_of_finals is not None:
        final_values.index_copy_(0, steps, values_of_finals.view(len(steps), num_envs))
    return RolloutValues(values, last_values, final_values, state)


def _chunked(policy: ActorCriticPolicy, observations: TensorDict) -> Tensor:
    """Values `[B]` of many observations `[B, ...]`, a chunk at a time."""
    num_bytes: int = observations.bytes()
    num_rows = max(1, min(CHUNK, CHUNK_BYTES * len(observations) // max(num_bytes, 1)))
    return torch.cat([policy.values(chunk, {})[0] for chunk in observations.split(num_rows)])
