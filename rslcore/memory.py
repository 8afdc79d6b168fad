"""Whether what a config asks for fits into the memory of its device, told before it is tried.

A system may promise more memory than it has and end the process that uses it, so that waiting for an error is too late.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch

from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.specs import TensorSpec


def total_memory(device: torch.device) -> int:
    """Bytes of memory that a device has, used or not."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(context: Context, path: str, num_rows: int, specs: Iterable[TensorSpec]) -> None:
    """Refuse columns that the device cannot hold, however empty it is.

    Args:
        context: Gives the device.
        path: The option of the whole config that decides about the rows, for the message.
        num_rows: Rows of each column.
        specs: Of a row of each column.

    Raises:
        ConfigError: They take more than all memory of the device.
    """
    row = sum(spec.size * torch.empty((), dtype=getattr(torch, spec.dtype)).element_size() for spec in specs)
    needed, total = num_rows * row, total_memory(context.device)
    if needed > total:
        raise ConfigError.at(
            path,
            f"{num_rows} rows of {row} bytes take {needed / 1e9:.1f} GB, and '{context.device}' has {total / 1e9:.1f} "
            "GB in all; give fewer",
        )
