"""What may be written to the columns of a storage, with messages that name the column."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.errors import ExtensionError, nearest


def copy_rows(column: str, row: Tensor, rows: Tensor) -> None:
    """Copy `rows [N, ...]` to a row of a column, without their gradients.

    Args:
        column: Its name, for messages: `column 'rewards'`, `group 'policy'`.
        row: Where they go.
        rows: What is copied.

    Raises:
        ExtensionError: A copy would spread them, since they have another shape, or lose what they say, since numbers
            with fractions go where integers are, or numbers where flags are.
    """
    if rows.shape != row.shape:
        raise ExtensionError(f"{column} has rows of shape {list(row.shape)}, not {list(rows.shape)}")
    if rows.dtype is not row.dtype and not torch.can_cast(rows.dtype, row.dtype):
        raise ExtensionError(f"{column} holds {_name(row.dtype)}, to which {_name(rows.dtype)} cannot be written")
    row.copy_(rows.detach())


def unknown_column(name: str, declared: Iterable[str]) -> ExtensionError:
    """The error for a column that is written and not declared."""
    near = nearest(name, declared)
    return ExtensionError(f"the storage has no column '{name}', which `fields` must declare{near}")


def take_group(obs: TensorDict, group: str) -> Tensor:
    """An observation group. Raises ExtensionError if it is missing."""
    if group not in obs:
        raise ExtensionError(f"there is no observation group '{group}' though the env declares it")
    rows: Tensor = obs[group]
    return rows


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
