"""Models as rsl_rl exports them: the same inputs, outputs and methods, so that what runs its files runs these.

1-D groups come concatenated, as `obs`, and images by group; states are `[L, N, H]`, as torch has them.

    feed-forward    ONNX: obs -> actions                               TorchScript: forward(obs), reset()
    images          ONNX: obs, <image>... -> actions                   TorchScript: forward(obs, [image, ...]), reset()
    lstm            ONNX: obs, h_in, c_in -> actions, h_out, c_out     TorchScript: forward(obs), reset()
    gru             ONNX: obs, h_in -> actions, h_out                  TorchScript: forward(obs), reset()

In TorchScript the module itself remembers, of one row. Everything is copied, onto the CPU.

Legend: N rows, D features, L layers and H width of a recurrent network.
"""

# No `from __future__ import annotations`: torch.jit.script reads the annotations of attributes as they are.

import copy
import io
import os
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.errors import ExportError
from rslcore.export import own_warnings_silenced, to_onnx, write_exported
from rslcore.recurrence import run_network, state_specs

if TYPE_CHECKING:
    from rslcore_rsl_rl.model import InferenceModel

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_STATES = {nn.LSTM: ("h", "c"), nn.GRU: ("h",)}


class OnnxModule(nn.Module):
    """A model's deterministic step for `torch.onnx.export`.

    Args:
        model: Is copied.
        verbose: Kept for whoever exports it.

    Attributes:
        input_size: D.
        is_recurrent: Whether there are states.
        obs_groups_2d: The images.

    Raises:
        ExportError: The network remembers and is neither an LSTM nor a GRU.
    """

    def __init__(self, model: "InferenceModel", verbose: bool = False) -> None:
        super().__init__()
        self.verbose = verbose
        self.network, self.distribution = _copied(model.network), _copied(model.distribution)
        self.input_size = model.obs_dim
        self.is_recurrent = model.is_recurrent
        self.obs_groups_2d = list(model.obs_groups_2d)
        self._observations = dict(model.observations)
        self._sizes = {group: model.observations[group].size for group in model.obs_groups}
        self._state_specs = state_specs(self.network)
        self._states = _state_names(self.network) if self.is_recurrent else ()
        self.eval()

    def forward(self, obs: Tensor, *others: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Actions `[N, A]` of 1-D groups `[N, D]`, images and states; where there are states, those after the step."""
        parts = obs.split(list(self._sizes.values()), dim=-1) if self._sizes else ()
        groups = dict(zip(self._sizes, parts, strict=True))
        groups.update(zip(self.obs_groups_2d, others, strict=False))
        before = [state.transpose(0, 1) for state in others[len(self.obs_groups_2d) :]]
        rows = TensorDict(groups, batch_size=[obs.shape[0]])
        outputs, after = run_network(self.network, rows, dict(zip(self._state_specs, before, strict=True)), None)
        actions: Tensor = self.distribution.deterministic(self.distribution.params(outputs))
        if not self.is_recurrent:
            return actions
        return actions, *(after[part].transpose(0, 1) for part in self._state_specs)

    def get_dummy_inputs(self) -> tuple[Tensor, ...]:
        """Inputs of zeros, of one row."""
        specs = [self._observations[group] for group in self.obs_groups_2d]
        images = [torch.zeros(1, *spec.shape, dtype=getattr(torch, spec.dtype)) for spec in specs]
        states = [torch.zeros(1, *spec.shape).transpose(0, 1).contiguous() for spec in self._state_specs.values()]
        return torch.zeros(1, self.input_size), *images, *states

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        return ["obs", *self.obs_groups_2d, *(f"{state}_in" for state in self._states)]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in order."""
        return ["actions", *(f"{state}_out" for state in self._states)]


class JitModule(nn.Module):
    """Without memory.

    Args:
        step: Traced: `[N, D]` to actions `[N, A]`.
    """

    def __init__(self, step: Any) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Actions `[N, A]` of 1-D groups `[N, D]`."""
        actions: Tensor = self.step(x)
        return actions

    @torch.jit.export
    def reset(self) -> None:
        """Forget nothing."""


class JitImageModule(nn.Module):
    """The same with images.

    Args:
        step: Traced: `[N, D]` and images to actions `[N, A]`.
    """

    def __init__(self, step: Any) -> None:
        super().__init__()
        self.step = step

    def forward(self, obs_1d: Tensor, obs_2d: list[Tensor]) -> Tensor:
        """Actions `[N, A]` of 1-D groups `[N, D]` and images in order."""
        actions: Tensor = self.step(obs_1d, obs_2d)
        return actions

    @torch.jit.export
    def reset(self) -> None:
        """Forget nothing."""


class JitLstmModule(nn.Module):
    """Remembers one row.

    Args:
        step: Traced: `[1, D]`, hidden and cell state to actions and both states.
        hidden: The first state, `[L, 1, H]`.
        cell: The first state, `[L, 1, H]`.
    """

    hidden_state: Tensor
    cell_state: Tensor

    def __init__(self, step: Any, hidden: Tensor, cell: Tensor) -> None:
        super().__init__()
        self.step = step
        self.register_buffer("hidden_state", hidden)
        self.register_buffer("cell_state", cell)

    def forward(self, x: Tensor) -> Tensor:
        """Actions `[1, A]` of 1-D groups `[1, D]`."""
        outputs = self.step(x, self.hidden_state, self.cell_state)
        actions: Tensor = outputs[0]
        self.hidden_state[:] = outputs[1]
        self.cell_state[:] = outputs[2]
        return actions

    @torch.jit.export
    def reset(self) -> None:
        """Begin a new episode."""
        self.hidden_state[:] = 0.0
        self.cell_state[:] = 0.0


class JitGruModule(nn.Module):
    """Remembers one row.

    Args:
        step: Traced: `[1, D]` and state to actions and state.
        hidden: The first state, `[L, 1, H]`.
    """

    hidden_state: Tensor

    def __init__(self, step: Any, hidden: Tensor) -> None:
        super().__init__()
        self.step = step
        self.register_buffer("hidden_state", hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Actions `[1, A]` of 1-D groups `[1, D]`."""
        outputs = self.step(x, self.hidden_state)
        actions: Tensor = outputs[0]
        self.hidden_state[:] = outputs[1]
        return actions

    @torch.jit.export
    def reset(self) -> None:
        """Begin a new episode."""
        self.hidden_state[:] = 0.0


def jit_module(model: "InferenceModel") -> nn.Module:
    """A copy of a model for `torch.jit.script`.

    Raises:
        ExportError: The network remembers and is neither an LSTM nor a GRU.
    """
    step = OnnxModule(model)
    obs, *others = step.get_dummy_inputs()
    example = (obs, others) if step.obs_groups_2d else (obs, *others)
    with torch.no_grad(), own_warnings_silenced():
        traced = torch.jit.trace(_ImageStep(step) if step.obs_groups_2d else step, example, check_trace=False)
    if step.obs_groups_2d:
        return JitImageModule(traced)
    if not others:
        return JitModule(traced)
    return JitGruModule(traced, *others) if len(others) == 1 else JitLstmModule(traced, *others)


class _ImageStep(nn.Module):
    """A step that takes its images in a list, as rsl_rl's TorchScript does."""

    def __init__(self, step: OnnxModule) -> None:
        super().__init__()
        self.step = step

    def forward(self, obs: Tensor, images: list[Tensor]) -> Any:
        return self.step(obs, *images)


def export_to_jit(model: "InferenceModel", path: str | os.PathLike[str], filename: str = "policy.pt") -> None:
    """Write a model as TorchScript.

    Args:
        model: Is copied.
        path: The folder; it is made.
        filename: Of the file.

    Raises:
        ExportError: It cannot be written; a file that was there before still is.
    """
    file = io.BytesIO()
    with own_warnings_silenced():
        torch.jit.save(torch.jit.script(jit_module(model)), file)
    write_exported(Path(path) / filename, file.getvalue())


def export_to_onnx(
    model: "InferenceModel", path: str | os.PathLike[str], filename: str = "policy.onnx", verbose: bool = False
) -> None:
    """Write a model as ONNX, of one row.

    Args:
        model: Is copied.
        path: The folder; it is made.
        filename: Of the file.
        verbose: Whether torch prints what it does.

    Raises:
        ExportError: It cannot be written; a file that was there before still is.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    module = model.as_onnx(verbose)
    assert isinstance(module, OnnxModule)
    with torch.no_grad(), own_warnings_silenced():
        program = torch.export.export(module, module.get_dummy_inputs())
    write_exported(Path(path) / filename, to_onnx(program, module.input_names, module.output_names, verbose=verbose))


def _copied(module: Any) -> Any:
    """A copy on the CPU, without hooks: whoever watches the live module is not copied along."""
    without: dict[int, Any] = {id(getattr(each, kind)): OrderedDict() for each in module.modules() for kind in _HOOKS}
    return copy.deepcopy(module, without).cpu().requires_grad_(False)


def _state_names(network: Any) -> tuple[str, ...]:
    for kind, names in _STATES.items():
        if isinstance(getattr(network, "rnn", None), kind):
            return names
    raise ExportError(
        f"rsl_rl's files know the states of LSTM and GRU, not those of {type(network).__name__}; use `rslcore export`"
    )
