"""Whether what was exported does what the policy does.

Both act on the same random observations, a row at a time, through episodes that end now and then.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rslcore.evaluation import InferencePolicy
from rslcore.export.programs import Run
from rslcore.export.step import PolicyStep
from rslcore.specs import TensorSpec

TOLERANCE = 1e-5
"""Largest difference of an action; of one beyond 1, relative to its size."""

NUM_STEPS = 300
EPISODE_LENGTH = 20
"""Mean length of an episode, in steps."""


def largest_difference(policy: InferencePolicy, step: PolicyStep, run: Run, num_steps: int = NUM_STEPS) -> float:
    """How far actions differ at most, as `TOLERANCE` is meant; NaN where one is.

    Args:
        policy: What was exported.
        step: Names its inputs and outputs.
        run: Runs the file.
        num_steps: How long both act.
    """
    generator = torch.Generator().manual_seed(0)
    policy.reset()
    states = _first_states(step)
    worst = torch.zeros((), dtype=torch.float64)
    for _ in range(num_steps):
        obs = {group: _random(step.inputs[name], generator) for group, name in step.groups.items()}
        actions, *after = run({**{step.groups[group]: rows for group, rows in obs.items()}, **states})
        expected = policy(obs).double()
        difference = (actions.double() - expected).abs() / expected.abs().clamp(min=1.0)
        worst = torch.maximum(worst, difference.max())
        states = {state.input: part for state, part in zip(step.states, after, strict=True)}
        if torch.rand((), generator=generator) < 1.0 / EPISODE_LENGTH:
            policy.reset([True])
            states = _first_states(step)
    policy.reset()
    return worst.item()


def _first_states(step: PolicyStep) -> dict[str, Tensor]:
    zeros = step.zeros(1)
    return {state.input: zeros[state.input] for state in step.states}


def _random(spec: TensorSpec, generator: torch.Generator) -> Tensor:
    """A row: of floats from a standard normal distribution, of integers from 0 to 255, or as far as their type goes."""
    dtype = getattr(torch, spec.dtype)
    if dtype.is_floating_point:
        return torch.randn(1, *spec.shape, generator=generator, dtype=dtype)
    highest = 1 if dtype == torch.bool else min(255, torch.iinfo(dtype).max)
    return torch.randint(0, highest + 1, (1, *spec.shape), generator=generator).to(dtype)
