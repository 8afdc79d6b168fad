"""What scripts want kept in a checkpoint, as plain data and tensors: a file that holds more could not be read again."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

_log = logging.getLogger(__name__)

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class _LeftOut:
    """Stands for what cannot be kept."""


def plain_infos(infos: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What can be kept of `infos`, with a warning that names what cannot.

    NumPy's numbers become Python's, its arrays tensors, named tuples tuples. rsl_rl keeps any object, and executes what
    it says when the file is loaded.
    """
    if infos is None:
        return None
    left_out: list[str] = []
    kept = _plain(infos, "infos", left_out)
    if left_out:
        _log.warning("rslcore_rsl_rl: the checkpoint is saved without %s", ", ".join(left_out))
    return {} if isinstance(kept, _LeftOut) else kept


def _plain(value: Any, path: str, left_out: list[str]) -> Any:
    if type(value) in _PLAIN or type(value) is Tensor:
        return value
    if isinstance(value, np.generic) and isinstance(number := value.item(), _PLAIN):
        return number
    if isinstance(value, np.ndarray) and value.dtype != object:
        try:
            return torch.from_numpy(value.copy())
        except TypeError:
            return _leave_out(value, path, left_out)  # strings, for one
    if isinstance(value, Mapping):
        items = {key: _plain(item, f"{path}[{key!r}]", left_out) for key, item in value.items()}
        return {key: item for key, item in items.items() if not isinstance(item, _LeftOut)}
    if isinstance(value, list | tuple):
        parts = [_plain(item, f"{path}[{index}]", left_out) for index, item in enumerate(value)]
        parts = [None if isinstance(part, _LeftOut) else part for part in parts]
        return parts if isinstance(value, list) else tuple(parts)
    return value if _can_be_read(value) else _leave_out(value, path, left_out)


def _leave_out(value: Any, path: str, left_out: list[str]) -> _LeftOut:
    left_out.append(f"{path} ({type(value).__name__})")
    return _LeftOut()


def _can_be_read(value: Any) -> bool:
    """Whether torch reads back what it writes of a value without executing anything, as a set or a torch.device."""
    file = io.BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:  # whatever its own pickling raises
        return False
    return True
