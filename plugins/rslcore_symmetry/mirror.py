"""The user's function that mirrors, found and tried out before anything runs.

Legend: B rows, A actions, K copies of a row: itself and its mirrored ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import ConfigError, RslcoreError, listed
from rslcore.registry.targets import find_target_fault, import_target
from rslcore.specs import TensorSpec

Mirror: TypeAlias = Callable[..., tuple[TensorDict | None, Tensor | None]]
"""`function(env=env, obs=[B, ...], actions=[B, A])` to both as `[K * B, ...]`, the originals first."""

NUM_PROBES = 3


def find_mirror(target: str, context: Context) -> Mirror:
    """Import the function.

    Raises:
        ConfigError: There is no such function.
    """
    try:
        if fault := find_target_fault(target):
            is_missing = "there is no module" in fault
            hint = "; install the package that has it, or put its folder on PYTHONPATH" if is_missing else ""
            raise context.error("function", fault + hint)
        function: Mirror = import_target(target)
    except ConfigError:
        raise
    except RslcoreError as error:
        raise context.error("function", str(error)) from error
    except Exception as error:  # the module is the user's code
        reason = f"{type(error).__name__}: {error}"
        raise context.error("function", f"'{target}' does not import: {reason}") from error
    if not callable(function):
        raise context.error("function", f"'{target}' is no function but {type(function).__name__}")
    return function


def count_copies(function: Mirror, groups: dict[str, TensorSpec], actions: TensorSpec, context: Context) -> int:
    """Try the function out on random rows; K.

    Args:
        function: Mirrors.
        groups: The observation groups.
        actions: A row of actions.
        context: Has the env and the device.

    Raises:
        ConfigError: What it returns is not what `Mirror` says.
    """
    generator = torch.Generator().manual_seed(0)

    def probe(spec: TensorSpec) -> Tensor:
        rows = torch.randint(0, 2, (NUM_PROBES, *spec.shape), generator=generator)
        return rows.to(context.device, getattr(torch, spec.dtype))

    obs = TensorDict({name: probe(spec) for name, spec in groups.items()}, batch_size=[NUM_PROBES])
    taken = probe(actions)

    def fail(problem: str) -> ConfigError:
        return context.error("function", f"with observations and actions of {NUM_PROBES} rows, it {problem}")

    try:
        returned: Any = function(env=context.env, obs=obs.clone(), actions=taken.clone())
        only_obs: Any = function(env=context.env, obs=obs.clone(), actions=None)
        only_actions: Any = function(env=context.env, obs=None, actions=taken.clone())
    except Exception as error:  # the function is the user's code
        raise fail(f"fails: {type(error).__name__}: {error}") from error
    for pair in (returned, only_obs, only_actions):
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise fail("should return a pair of observations and actions")
    mirrored, mirrored_actions = returned
    if not isinstance(mirrored, TensorDict) or not isinstance(mirrored_actions, Tensor):
        raise fail(
            "should return a TensorDict and a Tensor, it returns "
            f"{type(mirrored).__name__} and {type(mirrored_actions).__name__}"
        )
    rows = len(mirrored_actions)
    copies = rows // NUM_PROBES
    if rows % NUM_PROBES or copies < 2:
        raise fail(f"should return them two times or more, it returns {rows} rows of actions")
    if missing := [name for name in groups if name not in mirrored.keys()]:  # noqa: SIM118 - TensorDict
        raise fail(f"leaves out the observation groups {listed(missing)}")
    if list(mirrored.batch_size) != [rows]:
        raise fail(f"should return a TensorDict of batch size [{rows}], it is {list(mirrored.batch_size)}")
    columns = {f"observation group '{name}'": (mirrored[name], obs[name]) for name in groups}
    for name, (found, given) in {**columns, "actions": (mirrored_actions, taken)}.items():
        expected = [rows, *given.shape[1:]]
        if list(found.shape) != expected or found.dtype != given.dtype:
            raise fail(f"should return {name} as {expected} {given.dtype}, it is {list(found.shape)} {found.dtype}")
        if not torch.equal(found[:NUM_PROBES], given):
            raise fail(f"should return the original rows of {name} first, unchanged")
    same_obs = isinstance(only_obs[0], TensorDict) and all(
        _equal(only_obs[0].get(name), mirrored[name]) for name in groups
    )
    if not same_obs or not _equal(only_actions[1], mirrored_actions):
        what = "actions" if same_obs else "observations"
        raise fail(f"should return the same {what} when the other argument is None")
    return copies


def _equal(found: Any, expected: Tensor) -> bool:
    return isinstance(found, Tensor) and torch.equal(found, expected)
