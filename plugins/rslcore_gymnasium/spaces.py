"""Gymnasium's spaces as rslcore's specs, and actions back into what the space holds.

Legend: N envs, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy
from gymnasium import spaces
from torch import Tensor

from rslcore.context import Context
from rslcore.specs import ActionSpec, TensorSpec

DEFAULT_GROUP = "policy"
"""Name of the observation group of an env whose observation is a single Box."""

_DTYPES = {"float64": "float32", "float16": "float32", "uint16": "int32", "uint32": "int64", "uint64": "int64"}


def observation_specs(
    space: spaces.Space[Any], groups: Mapping[str, tuple[int, ...]], context: Context
) -> dict[str, TensorSpec]:
    """The observation groups of a single env: one for a Box, one a key for a Dict of Boxes.

    Args:
        space: Of a single env.
        groups: Entries of a 1-D Box by group, to split it; empty to leave it whole.
        context: For messages.

    Raises:
        ConfigError: The space is another one, or does not have the entries.
    """
    if groups:
        return _split_specs(space, groups, context)
    if isinstance(space, spaces.Dict) and all(isinstance(inner, spaces.Box) for inner in space.values()):
        return {name: _tensor_spec(inner) for name, inner in space.items()}
    if isinstance(space, spaces.Box):
        return {DEFAULT_GROUP: _tensor_spec(space)}
    raise context.error(
        "id",
        f"observations are {space}, which is neither a Box nor a Dict of Boxes; register the env "
        "with Gymnasium's wrapper FlattenObservation around it",
    )


def _split_specs(
    space: spaces.Space[Any], groups: Mapping[str, tuple[int, ...]], context: Context
) -> dict[str, TensorSpec]:
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise context.error("groups", f"observations are {space}; only a 1-D Box can be split into groups")
    size = space.shape[0]
    for name, entries in groups.items():
        if not entries or not all(0 <= entry < size for entry in entries):
            raise context.error(
                f"groups.{name}", f"{list(entries)} should be entries of the observation, from 0 to {size - 1}"
            )
    dtype = _tensor_spec(space).dtype
    return {name: TensorSpec((len(entries),), dtype) for name, entries in groups.items()}


def _tensor_spec(space: spaces.Space[Any]) -> TensorSpec:
    assert space.shape is not None
    assert space.dtype is not None
    name = numpy.dtype(space.dtype).name
    return TensorSpec(tuple(space.shape), _DTYPES.get(name, name))


def action_spec(space: spaces.Space[Any], rescale: bool, context: Context) -> ActionSpec:
    """The actions of a single env, flattened to one dimension.

    Bounds are those of what `step` takes: -1 and 1 for actions that are stretched to the bounds of the Box.

    Raises:
        ConfigError: The space is none of Box, Discrete and MultiDiscrete.
    """
    if isinstance(space, spaces.Discrete):
        return ActionSpec(1, num_choices=(int(space.n),))
    if isinstance(space, spaces.MultiDiscrete):
        choices = tuple(int(number) for number in space.nvec.ravel())
        return ActionSpec(len(choices), num_choices=choices)
    if isinstance(space, spaces.Box) and numpy.issubdtype(space.dtype, numpy.floating):
        bounded = _stretched(space, rescale)
        low, high = numpy.where(bounded, -1.0, space.low.ravel()), numpy.where(bounded, 1.0, space.high.ravel())
        return ActionSpec(len(low), low=tuple(map(float, low)), high=tuple(map(float, high)))
    raise context.error("id", f"actions are {space}, which is none of Box (of floats), Discrete and MultiDiscrete")


def action_converter(
    space: spaces.Space[Any], num_envs: int, rescale: bool
) -> Callable[[Tensor], numpy.ndarray[Any, Any]]:
    """The function from actions `[N, A]` to the array that the vector env takes.

    Args:
        space: The action space of a single env.
        num_envs: N.
        rescale: Stretch [-1, 1] to the bounds of a Box where it is bounded on both sides.
    """
    if isinstance(space, spaces.Discrete):
        dtype, start = space.dtype, space.start
        return lambda actions: numpy.add(actions.cpu().numpy()[:, 0], start, dtype=dtype)
    shape = (num_envs, *(space.shape or ()))
    if isinstance(space, spaces.MultiDiscrete):
        dtype, starts = space.dtype, space.start
        return lambda actions: (actions.cpu().numpy().reshape(shape) + starts).astype(dtype, copy=False)
    assert isinstance(space, spaces.Box)
    dtype = space.dtype
    low, high = space.low.ravel().astype(numpy.float64), space.high.ravel().astype(numpy.float64)
    bounded = _stretched(space, rescale)
    half, middle = numpy.ones_like(low), numpy.zeros_like(low)
    half[bounded] = (high[bounded] - low[bounded]) / 2.0
    middle[bounded] = (high[bounded] + low[bounded]) / 2.0

    def convert(actions: Tensor) -> numpy.ndarray[Any, Any]:
        stretched = actions.cpu().numpy() * half + middle
        bounded_actions: numpy.ndarray[Any, Any] = numpy.clip(stretched, low, high).astype(dtype).reshape(shape)
        return bounded_actions

    return convert


def _stretched(space: spaces.Box, rescale: bool) -> numpy.ndarray[Any, Any]:
    """Which actions of a Box are stretched to its bounds: those that are bounded on both sides, `[A]`, bool."""
    bounded: numpy.ndarray[Any, Any] = numpy.isfinite(space.low.ravel()) & numpy.isfinite(space.high.ravel()) & rescale
    return bounded
