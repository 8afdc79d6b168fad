"""Checks of what an env gives, and actions for it.

Legend: N envs, A actions.
"""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.protocols import EnvStep
from rslcore.specs import EnvSpec
from rslcore.testing.values import expect, shown


def expect_observations(obs: TensorDict, spec: EnvSpec, what: str) -> None:
    """Fail unless observations have the groups, shapes and types of a spec."""
    expect(isinstance(obs, TensorDict), f"{what} gives observations as a TensorDict. It gave a {type(obs).__name__}.")
    expect(
        tuple(obs.batch_size) == (spec.num_envs,),
        f"Observations of {what} have batch size [{spec.num_envs}], N. It is {list(obs.batch_size)}.",
    )
    groups = set(map(str, obs.keys()))
    expect(
        groups == set(spec.observations),
        f"Observations of {what} have the groups of the spec, {sorted(spec.observations)}. They have {sorted(groups)}.",
    )
    for name, group in spec.observations.items():
        expected = f"{[spec.num_envs, *group.shape]} {group.dtype}"
        expect(
            shown(obs[name]) == expected,
            f"Group '{name}' of {what} is {expected}, as the spec says. It is {shown(obs[name])}.",
        )


def expect_flags(step: EnvStep) -> None:
    """Fail if the flags of a step contradict one another."""
    expect(
        bool((step.dones == (step.terminated | step.truncated)).all()),
        "`dones` is `terminated | truncated`. It is not; leave it to `EnvStep`.",
    )
    if step.valid is not None:
        expect(
            not bool((step.dones & ~step.valid).any()),
            "A step in which an env only resets (`valid=False`) ends no episode. One did.",
        )


def random_actions(spec: EnvSpec, seed: int = 0) -> Tensor:
    """Actions `[N, A]` that the env takes, the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    actions = spec.actions
    if actions.is_discrete:
        columns = [torch.randint(choices, (spec.num_envs,), generator=generator) for choices in actions.num_choices]
        return torch.stack(columns, 1)
    low, high = torch.tensor(actions.low).clamp(-1.0, 1.0), torch.tensor(actions.high).clamp(-1.0, 1.0)
    return low + (high - low) * torch.rand(spec.num_envs, actions.num_actions, generator=generator)
