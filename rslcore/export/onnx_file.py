"""ONNX files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.export import ExportedProgram

from rslcore.errors import MissingExtraError
from rslcore.export.programs import Run, own_warnings_silenced, to_program
from rslcore.export.step import PolicyStep

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""Version of the operators: onnxruntime reads it from 1.14 on."""

ROWS = "N"
"""What the number of rows is called in a file that takes any."""


def to_onnx(
    program: ExportedProgram,
    inputs: Sequence[str],
    outputs: Sequence[str],
    metadata: Mapping[str, str] | None = None,
    *,
    verbose: bool = False,
) -> bytes:
    """An ONNX file of a program, weights included.

    Args:
        program: From `torch.export.export`.
        inputs: Names of its inputs, in order.
        outputs: Names of its outputs, in order.
        metadata: Goes into the file's `metadata_props`.
        verbose: Whether torch prints what it does.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
    """
    _need("onnx", "onnxscript")
    with torch.no_grad(), own_warnings_silenced():
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            verbose=verbose,
        )
    assert exported is not None, "there is no file that torch could have written to"
    model = exported.model_proto
    _name_rows(model)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


def onnx_of_step(step: PolicyStep, metadata: Mapping[str, str]) -> bytes:
    """The same for a policy's step."""
    _need("onnx", "onnxscript")  # before torch takes its time
    return to_onnx(to_program(step), list(step.inputs), list(step.outputs), metadata)


def load_onnx(content: bytes) -> Run:
    """Runs such a file in onnxruntime, on a CPU.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    _need("onnxruntime")
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        outputs: list[Any] = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        return tuple(map(torch.from_numpy, outputs))

    return run


def _need(*packages: str) -> None:
    """Raises MissingExtraError, naming all that are not installed."""
    missing = []
    for package in packages:
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            missing.append(package)
    if missing:
        raise MissingExtraError(
            f"ONNX files need {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            "type `pip install 'rslcore[onnx]'`"
        )


def _name_rows(model: onnx.ModelProto) -> None:
    """Call the number of rows what it is: torch invents a name for it."""
    graph = model.graph
    first = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param and dim.dim_param == first:
                dim.dim_param = ROWS
