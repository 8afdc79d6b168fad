"""Checks of what an env gives, and actions for it.

Legend: N envs, A actions.
"""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.protocols import EnvStep
from rslcore.specs import EnvSpec
from rslcore.testing.values import expect
from rslcore.watch.shapes import obs_problems


def expect_observations(obs: TensorDict, spec: EnvSpec, what: str) -> None:
    """Fail unless observations have the groups, shapes and types of a spec."""
    problems = obs_problems(spec, None, obs)
    expect(not problems, f"Observations of {what} are as the spec says. They are not: {'; '.join(problems)}.")


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
