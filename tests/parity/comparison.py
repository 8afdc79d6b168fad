"""Compares what two libraries computed, and remembers by how much they differ.

In single precision, a tensor agrees if the norm of the difference is at most 1e-5 of its norm. That is not asked of
each element: Adam divides a gradient by its own size, so that an element whose gradient is nearly 0 moves by rounding
alone. In double precision there is no such excuse: every element agrees to 1e-9, which shows that what was left in
single precision was rounding, and not a difference in what is computed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from parity.runs import Records

from rslcore.specs import TensorSpec

SINGLE_TOLERANCE = 1e-5
DOUBLE_TOLERANCE = 1e-9
NORM_FLOOR = 0.1
"""Norm below which differences are taken as they are: of sums that nearly cancel, such as the surrogate loss, the mean
of terms of order 1."""
ELEMENT_FLOOR = 1e-3
"""The same for an element."""


@contextlib.contextmanager
def default_precision(name: str) -> Iterator[None]:
    """Let both libraries compute in a precision, wherever they would in single precision by default."""
    before, float_method = torch.get_default_dtype(), torch.Tensor.float
    spec_defaults = TensorSpec.__init__.__defaults__
    torch.set_default_dtype(getattr(torch, name))
    TensorSpec.__init__.__defaults__ = (name,)
    torch.Tensor.float = lambda tensor: tensor.to(torch.get_default_dtype())
    try:
        yield
    finally:
        torch.set_default_dtype(before)
        TensorSpec.__init__.__defaults__ = spec_defaults
        torch.Tensor.float = float_method


def differences(records: Records) -> dict[str, float]:
    """By name, how far both are apart, relative to their size: by norm in single precision, by element in double."""
    found = {}
    for name, tensor in records.ours.items():
        one, other = tensor.double(), records.theirs[name].double()
        assert one.shape == other.shape, f"{name} is {list(one.shape)} in ours and {list(other.shape)} in theirs"
        assert one.isfinite().all(), f"{name} is not finite"
        if is_double():
            difference = ((one - other).abs() / other.abs().clamp(min=ELEMENT_FLOOR)).max()
        else:
            difference = (one - other).norm() / other.norm().clamp(min=NORM_FLOOR)
        found[name] = difference.item()
    return found


def disagreements(records: Records) -> list[str]:
    """Names of what differs by too much."""
    tolerance = DOUBLE_TOLERANCE if is_double() else SINGLE_TOLERANCE
    return [name for name, difference in differences(records).items() if not difference <= tolerance]


def check(records: Records, record_property: Callable[[str, object], None]) -> None:
    """Assert that both agree, and report by how much they differ."""
    found = differences(records)
    worst = max(found, key=found.__getitem__)
    record_property("largest difference", found[worst])
    record_property("of", worst)
    assert {name: found[name] for name in disagreements(records)} == {}


def is_double() -> bool:
    """Whether both compute in double precision."""
    return torch.get_default_dtype() == torch.float64
