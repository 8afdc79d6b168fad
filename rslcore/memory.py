"""Whether what a config asks for fits into the memory of its device, told before it is tried.

A system may promise more memory than it has and end the process that uses it, so that waiting for an error is too late.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from rslcore.errors import ConfigError
from rslcore.specs import TensorSpec

if TYPE_CHECKING:
    from rslcore.context import Context

_NUMBERS_OF_A_PARAMETER = 4
"""What training keeps of each: its value, its gradient and the two averages of Adam."""


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


@contextlib.contextmanager
def limited_parameters(device: torch.device) -> Iterator[None]:
    """While the context lasts, refuse modules that the device cannot train, however empty it is.

    They are refused when they are made, before a value is written: torch's layers ask for memory first, which costs
    nothing, and initialise it then.

    Raises:
        MemoryError: All parameters since the context began, with gradients and the averages of Adam, take more than all
            memory of the device.
    """
    total = total_memory(device)
    needed = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal needed
        if parameter is not None:
            needed += _NUMBERS_OF_A_PARAMETER * parameter.nbytes
        if needed > total:
            raise MemoryError(
                f"training so many parameters takes {needed / 1e9:.1f} GB and more, and '{device}' has "
                f"{total / 1e9:.1f} GB in all"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def is_about_memory(error: Exception) -> bool:
    """Whether memory was asked for that is not there, or that no machine has. Of the latter torch has no class."""
    words = ("allocate memory", "out of memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(map(str(error).__contains__, words))
    )


def memory_reason(error: Exception) -> str:
    """What such an error says, in a line."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
