"""A policy's step as torch exports and traces it."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from rslcore.export.step import PolicyStep

Run = Callable[[Mapping[str, Tensor]], tuple[Tensor, ...]]
"""Runs what was exported: inputs by name to outputs in order."""

NUM_ROWS = 2
"""Of the inputs that a step is exported with: the number of a single row, torch would take for a constant."""


@contextlib.contextmanager
def own_warnings_silenced() -> Iterator[None]:
    """Without what torch's exporters say of themselves: that TorchScript is deprecated, that a check of a shape in
    torch, tensordict or rslcore is decided once and for all, and that operators of torchvision are not known."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            warnings.filterwarnings("ignore", r"The tensor attributes? .*_flat_weights", UserWarning)
            warnings.filterwarnings("ignore", r"Converting a tensor to", module=r"(torch|tensordict|rslcore)\.")
            yield
    finally:
        registration.setLevel(level)


def to_program(step: PolicyStep) -> ExportedProgram:
    """The step as a graph of torch's operators, for any number of rows."""
    rows = Dim("N", min=1)
    with torch.no_grad(), own_warnings_silenced():
        return torch.export.export(
            step, (), step.zeros(NUM_ROWS), dynamic_shapes={name: {0: rows} for name in step.inputs}
        )


def to_pt2(step: PolicyStep, metadata: Mapping[str, str]) -> bytes:
    """A file of `torch.export.load`."""
    file = io.BytesIO()
    program = to_program(step)
    with own_warnings_silenced():
        torch.export.save(program, file, extra_files=dict(metadata))
    return file.getvalue()


def load_pt2(content: bytes) -> Run:
    """Runs such a file."""
    with own_warnings_silenced():
        module = torch.export.load(io.BytesIO(content)).module()
    return lambda inputs: tuple(module(**inputs))


def to_torchscript(step: PolicyStep, metadata: Mapping[str, str]) -> bytes:
    """A file of `torch.jit.load`."""
    file = io.BytesIO()
    with torch.no_grad(), own_warnings_silenced():
        traced = torch.jit.trace(step, tuple(step.zeros(NUM_ROWS).values()), check_trace=False)
        torch.jit.save(traced, file, _extra_files=dict(metadata))
    return file.getvalue()


def load_torchscript(content: bytes) -> Run:
    """Runs such a file."""
    with own_warnings_silenced():
        module = torch.jit.load(io.BytesIO(content))
    return lambda inputs: tuple(module(**inputs))
