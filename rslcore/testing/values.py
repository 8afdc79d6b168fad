"""Comparing what components are given, return and save: nested containers of tensors and plain values."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.errors import PluginFaultError


def expect(condition: bool, sentence: str) -> None:
    """Fail a test with a sentence, and without a traceback, unless a condition holds."""
    if not condition:
        pytest.fail(sentence, pytrace=False)


def copied(value: Any) -> Any:
    """A deep copy of nested containers, tensors detached."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, TensorDict):
        return {str(key): copied(item) for key, item in value.items()}
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [copied(item) for item in value]
    return value


def difference(first: Any, second: Any, at: str = "", tolerance: float = 0.0) -> str | None:
    """Where two values differ, and how; None if they are equal. NaNs are equal to NaNs."""
    where = at or "the value"
    if isinstance(first, Mapping | TensorDict) and isinstance(second, Mapping | TensorDict):
        first, second = dict(first.items()), dict(second.items())
        if first.keys() != second.keys():
            return f"{where} has the keys {sorted(map(str, first))} and {sorted(map(str, second))}"
        pairs = ((f"{at}.{key}" if at else str(key), first[key], second[key]) for key in first)
        return next(filter(None, (difference(one, two, path, tolerance) for path, one, two in pairs)), None)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        if len(first) != len(second):
            return f"{where} has {len(first)} and {len(second)} items"
        items = enumerate(zip(first, second, strict=True))
        found = (difference(one, two, f"{at}[{index}]", tolerance) for index, (one, two) in items)
        return next(filter(None, found), None)
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        if (first.shape, first.dtype) != (second.shape, second.dtype):
            return f"{where} is {shown(first)} and {shown(second)}"
        if not torch.allclose(first, second, rtol=tolerance, atol=tolerance, equal_nan=first.is_floating_point()):
            gap = (first.double() - second.double()).abs().max().item()
            return f"{where} differs by up to {gap:.3g}"
        return None
    same = first is second or (type(first) is type(second) and first == second)
    return None if same else f"{where} is {first!r} and {second!r}"


def reason(error: BaseException) -> str:
    """An exception in words: that of a component's own code, where the core has said whose code it is."""
    cause = error.__cause__ if isinstance(error, PluginFaultError) and error.__cause__ is not None else error
    return f"{type(cause).__name__}: {cause}"


def shown(value: Any) -> str:
    """A tensor as shape and type, anything else as its type."""
    if isinstance(value, Tensor):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__


def find_impure(value: Any, at: str = "") -> str | None:
    """The first place in a state that holds no tensor, plain container or scalar; None if none does."""
    if isinstance(value, Mapping):
        return next(
            filter(None, (find_impure(item, f"{at}.{key}" if at else str(key)) for key, item in value.items())), None
        )
    if isinstance(value, list | tuple):
        return next(filter(None, (find_impure(item, f"{at}[{index}]") for index, item in enumerate(value))), None)
    plain = value is None or isinstance(value, Tensor) or type(value) in (bool, int, float, str)
    return None if plain else f"{at or 'the state'} is a {type(value).__name__}"


def through_a_file(state: Any) -> Any:
    """A state as a checkpoint gives it back: saved, and read with `weights_only=True`."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def expect_plain_state(state: Any, whose: str) -> None:
    """Fail unless a state can stand in a checkpoint."""
    impure = find_impure(state)
    expect(
        impure is None,
        f"A state holds tensors, plain containers and scalars only, so that a checkpoint can be read without running "
        f"code. In that of {whose}, {impure}; save a tensor or a number in its place.",
    )
