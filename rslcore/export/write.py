"""From a run on disk to a file for the robot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import torch

from rslcore.errors import ExportError, RslcoreError, listed, nearest
from rslcore.evaluation import InferencePolicy, load_policy
from rslcore.export.formats import FORMATS
from rslcore.export.metadata import describe
from rslcore.export.step import PolicyStep
from rslcore.export.verify import NUM_STEPS, TOLERANCE, largest_difference
from rslcore.run.files import write_atomically
from rslcore.specs import TensorSpec

if TYPE_CHECKING:
    from rslcore.registry import Registry

FOLDER = "exported"
"""Where a run's exported files are, unless said otherwise."""

_FEW_STEPS = 40
"""How long a step is tried before it is exported."""


@attrs.frozen
class ExportResult:
    """What was written.

    Attributes:
        path: The file.
        format: Its format.
        checkpoint: What was exported.
        inputs: Shape and type of a row of each input, in order.
        outputs: The same of each output.
        largest_difference: Of an action, between the file and the policy; None if it was not verified.
    """

    path: Path
    format: str
    checkpoint: Path
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    largest_difference: float | None


def export_policy(
    run: str | os.PathLike[str],
    *,
    format: str | None = None,
    checkpoint: str | int = "latest",
    output: str | os.PathLike[str] | None = None,
    verify: bool = False,
    registry: Registry | None = None,
) -> ExportResult:
    """Write a trained policy into a file that runs without rslcore; its env need not be installed.

    Args:
        run: The run's folder, a checkpoint in it, or the folder of an experiment, whose latest run is taken.
        format: `onnx`, `pt2` (of `torch.export`) or `torchscript`; by default that of the suffix of `output`, or ONNX.
        checkpoint: `latest`, `best`, an iteration, or a file.
        output: The file; `exported/policy.onnx`, `.pt2` or `.pt` in the run's folder by default. Its folder is made.
        verify: Whether the file is compared with the policy over 300 steps of random observations, and written only if
            no action differs by more than 1e-5, of its size if that is above 1.
        registry: Where components are looked up; the installed plugins by default.

    Raises:
        RunError: There is no such run or checkpoint.
        CheckpointError: The checkpoint is damaged, or does not fit the installed plugins.
        ExportError: The format is unknown, the policy cannot be exported, differs from the file, or the file cannot be
            written. A file that was there before is still there.
        MissingExtraError: The packages that ONNX needs are not installed.
    """
    name = _format(format, None if output is None else Path(output))
    chosen = FORMATS[name]
    policy = load_policy(run, checkpoint=checkpoint, registry=registry)
    origin = policy.origin
    assert origin is not None, "it was loaded from a checkpoint"
    step = PolicyStep(policy)
    _check_step(policy, step)
    try:
        content = chosen.write(step, describe(policy, origin, step))
    except RslcoreError:
        raise
    except Exception as error:  # torch's exporters raise many kinds
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise ExportError(f"torch cannot write this policy as {name} ({reason}); try another format") from error
    difference = None
    if verify:
        difference = largest_difference(policy, step, chosen.load(content))
        if not difference <= TOLERANCE:
            raise ExportError(
                f"what was exported is not what the policy does: over {NUM_STEPS} steps, actions differ by up to "
                f"{difference:.1e}, more than {TOLERANCE:.0e}; nothing was written"
            )
    path = origin.path.parent / FOLDER / f"policy{chosen.suffix}" if output is None else Path(output)
    write_exported(path, content)
    return ExportResult(path, name, origin.path, step.inputs, step.outputs, difference)


def write_exported(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, into a folder that is made.

    Raises:
        ExportError: It cannot be written; a file that was there before still is.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write(content))
    except OSError as error:
        raise ExportError(f"'{path}' cannot be written: {error.strerror or error}") from error


def _format(name: str | None, output: Path | None) -> str:
    """The format that is asked for by name, or by a file's suffix. Raises ExportError."""
    suffixes = {format.suffix: each for each, format in FORMATS.items()}
    if name is not None and name not in FORMATS:
        raise ExportError(f"there is no format '{name}'{nearest(name, FORMATS)} (formats: {listed(FORMATS)})")
    if output is None:
        return name or next(iter(FORMATS))
    told = suffixes.get(output.suffix)
    if name is None and told is None:
        raise ExportError(
            f"the suffix of '{output}' tells no format (those that do are {listed(suffixes)}); name one: "
            f"{listed(FORMATS)}"
        )
    if name is not None and told is not None and told != name:
        raise ExportError(f"'{output}' has the suffix of {told} and the format {name}; change one of the two")
    return name or told or ""


def _check_step(policy: InferencePolicy, step: PolicyStep) -> None:
    """See whether the step, as it is before it is exported, does what the policy does. Raises ExportError if not."""
    with torch.no_grad():
        difference = largest_difference(policy, step, lambda inputs: step(**inputs), _FEW_STEPS)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the policy cannot be exported: its actions differ by up to {difference:.1e} from those that its networks "
            "give for the same observations and states; its algorithm or an extension adds something, at random or by "
            "what it remembers"
        )
