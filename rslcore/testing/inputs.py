"""What a component is built with and given in a test: a context, observations."""

from __future__ import annotations

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.config import ExperimentConfig
from rslcore.context import Context
from rslcore.device import resolve_device
from rslcore.registry import Registry
from rslcore.specs import EnvSpec, TensorSpec
from rslcore.training import num_steps_per_env


def make_context(config: ExperimentConfig, registry: Registry, *, restoring: bool = False) -> Context:
    """The context of a run, with its env built.

    Args:
        config: Of the whole run.
        registry: Has every component that it names.
        restoring: As `Context.restoring`.
    """
    context = Context(
        registry, config, resolve_device(config.device), config.seed, num_steps_per_env(config), restoring=restoring
    )
    env = context.build(config.env, "env")
    return attrs.evolve(context, env=env, spec=env.spec)


def make_observations(spec: EnvSpec, num_rows: int, device: torch.device, seed: int = 0) -> TensorDict:
    """Random observations `[num_rows, ...]` of all groups, the same for a seed; draws nothing from torch's own stream.

    Floats are normal, bytes span their range, other numbers are 0 or 1.
    """
    generator = torch.Generator().manual_seed(seed)

    def rows(group: TensorSpec) -> Tensor:
        shape, dtype = (num_rows, *group.shape), getattr(torch, group.dtype)
        if dtype.is_floating_point:
            return torch.randn(shape, generator=generator).to(device, dtype)
        return torch.randint(256 if dtype == torch.uint8 else 2, shape, generator=generator).to(device, dtype)

    return TensorDict({name: rows(group) for name, group in spec.observations.items()}, batch_size=[num_rows])


def device_of(obs: TensorDict) -> torch.device:
    """Where observations are."""
    device: torch.device = next(iter(obs.values())).device  # type: ignore[assignment]
    return device
