"""A step of a policy as a function of tensors: what is exported, whatever the format.

Legend: N envs, A actions.
"""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.errors import ExportError
from rslcore.evaluation import InferencePolicy
from rslcore.protocols import ExportableAlgorithm
from rslcore.recurrence import zero_states
from rslcore.specs import TensorSpec

ACTIONS = "actions"
"""Name of the first output."""

_SHORT = {"hidden": "h", "cell": "c"}
"""How parts of a state are called in exported files everywhere."""


@attrs.frozen
class StatePart:
    """A tensor that a policy remembers from one step to the next.

    Attributes:
        network: Whose state it is a part of.
        part: Its name there.
        input: Name of the input; zeros where an episode begins.
        output: Name of the output that is the input of the next step.
        spec: Of a row.
    """

    network: str
    part: str
    input: str
    output: str
    spec: TensorSpec


class PolicyStep(nn.Module):
    """A policy's deterministic step: observation groups and states to actions and the next states.

    Its `forward` takes the inputs `[N, ...]` by name, or in order, and returns a tuple of the outputs. Parameters are
    constants of it: they are looked up when it is called or exported.

    Args:
        policy: Acts on a CPU; its parameters need no gradients from now on.

    Attributes:
        groups: The name of the input of each observation group, by group.
        states: What is remembered.
        inputs: Shape and type of a row of each input, in order: groups, then states.
        outputs: The same of each output: `actions`, then states.

    Raises:
        ExportError: What the policy does is no function of observations and states; says why.
    """

    def __init__(self, policy: InferencePolicy) -> None:
        super().__init__()
        self._policy = policy
        self._algorithm = _exportable(policy)
        _need_no_gradients(self._algorithm)
        self._state_specs = self._algorithm.policy.state_specs()
        specs = {group: policy.spec.observations[group] for group in policy.groups}
        actions, after = self._try(specs)
        self.states = self._state_parts(after)
        taken = {ACTIONS, *(name for state in self.states for name in (state.input, state.output))}
        self.groups = _input_names(specs, taken)
        of_groups = {name: specs[group] for group, name in self.groups.items()}
        self.inputs = of_groups | {state.input: state.spec for state in self.states}
        self.outputs = {
            ACTIONS: TensorSpec(tuple(actions.shape[1:]), str(actions.dtype).removeprefix("torch.")),
            **{state.output: state.spec for state in self.states},
        }
        self.forward = self._named_forward()  # torch's exporters read its signature
        self.eval()

    def zeros(self, num_rows: int) -> dict[str, Tensor]:
        """Inputs of zeros, `[num_rows, ...]`: states are those of episodes that begin."""
        return {name: _zeros(spec, num_rows) for name, spec in self.inputs.items()}

    def _named_forward(self) -> Any:
        """The step as a function whose arguments have the names of the inputs."""
        names = tuple(self.inputs)

        def forward(*tensors: Tensor, **named: Tensor) -> tuple[Tensor, ...]:
            return self._step({**dict(zip(names, tensors, strict=False)), **named})

        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return forward

    def _step(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        groups = {group: inputs[name] for group, name in self.groups.items()}
        states: dict[str, dict[str, Tensor]] = {network: {} for network in self._state_specs}
        for state in self.states:
            states[state.network][state.part] = inputs[state.input]
        num_rows = next(iter(groups.values())).shape[0]  # not len(), which would be a constant of what is exported
        obs = self._algorithm.extensions.observe(TensorDict(groups, batch_size=[num_rows]))
        actions, after = self._algorithm.policy.act_inference(obs, states)
        return actions, *(after[state.network][state.part] for state in self.states)

    @torch.no_grad()
    def _try(self, specs: Mapping[str, TensorSpec]) -> tuple[Tensor, Mapping[str, Mapping[str, Tensor]]]:
        """Actions, and which states come out."""
        obs = TensorDict({group: _zeros(spec, 1) for group, spec in specs.items()}, batch_size=[1])
        states = zero_states(self._state_specs, 1, self._policy.device)
        return self._algorithm.policy.act_inference(self._algorithm.extensions.observe(obs), states)

    def _state_parts(self, after: Mapping[str, Mapping[str, Tensor]]) -> tuple[StatePart, ...]:
        networks = [network for network, state in after.items() if state]
        parts = []
        for network in networks:
            for part in after[network]:
                name = _identifier(_SHORT.get(part, part))
                if len(networks) > 1:
                    name = f"{_identifier(network)}_{name}"
                parts.append(StatePart(network, part, f"{name}_in", f"{name}_out", self._state_specs[network][part]))
        return tuple(parts)


def _exportable(policy: InferencePolicy) -> ExportableAlgorithm:
    """The algorithm of a policy. Raises ExportError if it acts by more than observations and states."""
    algorithm = policy.algorithm
    if not isinstance(algorithm, ExportableAlgorithm):
        raise ExportError(
            f"the policy cannot be exported: its algorithm ({type(algorithm).__name__}) has no `policy` and "
            "`extensions` by which alone it acts (rslcore.protocols.ExportableAlgorithm)"
        )
    memories = algorithm.extensions.memories()
    if memories:
        reasons = ", ".join(f"'{name}' (by its `{hook}`)" for name, hook in memories.items())
        raise ExportError(
            f"the policy cannot be exported: what it sees is changed by extensions that may remember the episode: "
            f"{reasons}; a file has inputs and outputs for the memory of networks only. Train a recurrent network "
            "(lstm, gru) in its place, or distill a student that sees the env's own observations"
        )
    return algorithm


def _need_no_gradients(algorithm: ExportableAlgorithm) -> None:
    """Tensors that need a gradient are no constants for torch."""
    modules = [algorithm.policy, *(value for each in algorithm.extensions.extensions for value in vars(each).values())]
    for module in modules:
        if isinstance(module, nn.Module):
            module.requires_grad_(False)


def _zeros(spec: TensorSpec, num_rows: int) -> Tensor:
    return torch.zeros(num_rows, *spec.shape, dtype=getattr(torch, spec.dtype))


def _input_names(groups: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """A name for the input of each observation group: its own, unless that is no identifier or is taken."""
    names: dict[str, str] = {}
    for group in groups:
        name = _identifier(group)
        while name in taken or name in names.values():
            name = f"obs_{name}"
        names[group] = name
    return names


def _identifier(name: str) -> str:
    """The name with `_` in place of what identifiers of Python and C++ may not have."""
    name = re.sub(r"[^0-9A-Za-z_]", "_", name)
    is_free = name.isidentifier() and not keyword.iskeyword(name) and name != "self"
    return name if is_free else f"obs_{name}"
