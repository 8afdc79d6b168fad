"""The formats by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from rslcore.export.onnx_file import load_onnx, onnx_of_step
from rslcore.export.programs import Run, load_pt2, load_torchscript, to_pt2, to_torchscript
from rslcore.export.step import PolicyStep


@attrs.frozen
class Format:
    """How files of a format are written and run.

    Attributes:
        suffix: Of their names.
        write: Makes the content of a file of a step and metadata, texts by name.
        load: Makes the content of a file into something to run.
    """

    suffix: str
    write: Callable[[PolicyStep, Mapping[str, str]], bytes]
    load: Callable[[bytes], Run]


FORMATS = {
    "onnx": Format(".onnx", onnx_of_step, load_onnx),
    "pt2": Format(".pt2", to_pt2, load_pt2),
    "torchscript": Format(".pt", to_torchscript, load_torchscript),
}
"""The formats by name; the first one is the default."""
