"""Files of reference motions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

MOTIONS = {
    "num_frames": numpy.array([3, 2]),
    "obs/policy": numpy.arange(10, dtype=numpy.float32).reshape(5, 2),
    "obs/height": numpy.arange(100, 105, dtype=numpy.float32).reshape(5, 1),
}
"""Two motions: of the frames [0, 1], [2, 3], [4, 5] and of [6, 7], [8, 9], beside which the height is 100 to 104."""


@pytest.fixture
def write_motions(tmp_path: Path) -> Callable[..., str]:
    """Write `MOTIONS` with some arrays replaced, or left out where they are None; the path."""

    def write(**changes: Any) -> str:
        arrays = {**MOTIONS, **{name.replace("__", "/"): value for name, value in changes.items()}}
        path = tmp_path / "motions.npz"
        numpy.savez(path, **{name: value for name, value in arrays.items() if value is not None})
        return str(path)

    return write
