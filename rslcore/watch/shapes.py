"""Shapes, types and devices of what an env gives, against what it says of itself. No tensor is read for it.

Legend: N envs.
"""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.errors import nearest
from rslcore.protocols import EnvStep
from rslcore.specs import EnvSpec

FLAGS = ("terminated", "truncated", "valid")
"""Fields of an `EnvStep` that are `[N]`, bool."""


def obs_problems(spec: EnvSpec, device: torch.device | None, obs: object, name: str = "obs") -> list[str]:
    """What is wrong with observations `[N, ...]`, a line each: what should be there, and what is.

    Args:
        spec: The env's.
        device: Where the env's tensors should be; None for anywhere.
        obs: What should be its observation groups.
        name: What it is called in the lines.
    """
    if not isinstance(obs, TensorDict):
        return [f"{name} should be a TensorDict of observation groups, it is {_kind(obs)}"]
    problems = []
    if tuple(obs.batch_size) != (spec.num_envs,):
        problems.append(f"{name} should have the batch size [{spec.num_envs}], it has {list(obs.batch_size)}")
    for group in spec.observations:
        if group not in obs:
            problems.append(f"{name} should have the group '{group}', it has {_names(obs)}")
    for group in map(str, obs.keys()):
        if group not in spec.observations:
            problems.append(
                f"{name} has a group '{group}' that the spec does not name{nearest(group, spec.observations)}"
            )
    for group, row in spec.observations.items():
        if group in obs:
            dtype = getattr(torch, row.dtype)
            problems += _tensor_problems(f"{name}['{group}']", obs[group], (spec.num_envs, *row.shape), dtype, device)
    return problems


def step_problems(spec: EnvSpec, device: torch.device, step: EnvStep) -> list[str]:
    """What is wrong with what `Env.step` gave, a line each; as `obs_problems`."""
    rows = (spec.num_envs,)
    problems = obs_problems(spec, device, step.obs)
    problems += _tensor_problems("rewards", step.rewards, rows, torch.float32, device)
    for name in FLAGS:
        flags = getattr(step, name)
        if name != "valid" or flags is not None:
            problems += _tensor_problems(name, flags, rows, torch.bool, device)
    if step.final_obs is not None:
        if spec.keeps_final_obs:
            problems += obs_problems(spec, device, step.final_obs, "final_obs")
        else:
            problems.append("final_obs should be None, since the spec says that the env keeps no final observations")
    return problems


class StepCheck:
    """Checks the steps of an env: whole where something is there for the first time, else by groups and shapes alone.

    Args:
        spec: The env's.
        device: Where its tensors should be.
    """

    def __init__(self, spec: EnvSpec, device: torch.device) -> None:
        self._spec = spec
        self._device = device
        self._rows = torch.Size([spec.num_envs])
        self._shapes = {group: torch.Size([spec.num_envs, *row.shape]) for group, row in spec.observations.items()}
        self._known = {"final_obs": False, "valid": False}
        self._is_first = True

    def problems(self, step: EnvStep) -> list[str]:
        """What is wrong with the next step, as `step_problems` says it."""
        is_new = self._is_first
        self._is_first = False
        for name, is_known in self._known.items():
            if not is_known and getattr(step, name) is not None:
                self._known[name] = is_new = True
        return step_problems(self._spec, self._device, step) if is_new or not self._is_shaped(step) else []

    def _is_shaped(self, step: EnvStep) -> bool:
        rows = (step.rewards, step.terminated, step.truncated, *(() if step.valid is None else (step.valid,)))
        if any(row.shape != self._rows for row in rows):
            return False
        final_obs = step.final_obs
        return self._are_groups(step.obs) and (
            final_obs is None or final_obs is step.obs or self._are_groups(final_obs)
        )

    def _are_groups(self, obs: object) -> bool:
        if not isinstance(obs, TensorDict) or obs.batch_size != self._rows:
            return False
        return {group: tensor.shape for group, tensor in obs.items()} == self._shapes


def _tensor_problems(
    name: str, tensor: object, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | None
) -> list[str]:
    expected = f"{list(shape)} {_name(dtype)}" + (f" on {device}" if device is not None else "")
    if not isinstance(tensor, Tensor):
        return [f"{name} should be a tensor {expected}, it is {_kind(tensor)}"]
    if tuple(tensor.shape) == shape and tensor.dtype is dtype and device in (None, tensor.device):
        return []
    return [f"{name} should be {expected}, it is {list(tensor.shape)} {_name(tensor.dtype)} on {tensor.device}"]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _kind(thing: object) -> str:
    return "None" if thing is None else f"a {type(thing).__name__}"


def _names(obs: TensorDict) -> str:
    return ", ".join(f"'{group}'" for group in sorted(obs.keys())) or "none"
