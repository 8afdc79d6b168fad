"""What an env of rsl_rl's kind has to have, and what is wrong with one that has not.

rsl_rl asks for more than it needs (see `rsl_rl.env.VecEnv`), and the wrappers of the projects give less than it asks
for. So only what nothing works without is required here; the rest is asked for where it is used.
"""

from __future__ import annotations

import math
import operator
import traceback
from typing import Any

import torch
from torch import Tensor

from rslcore.errors import EnvError

REQUIRED = {
    "num_envs": "the number of envs that are stepped at once, an int",
    "num_actions": "the number of actions of one env, an int",
    "get_observations": "a method that gives the observations to act on first",
    "step": "a method that takes actions [num_envs, num_actions] and gives observations, rewards, dones and extras",
}
"""By name, what it is."""

PROVIDERS = (
    "The `RslRlVecEnvWrapper` of Isaac Lab and of mjlab, the `RSLRLBraxWrapper` of MuJoCo Playground and the envs of "
    "Genesis, legged_gym and unitree_rl_gym have all of these; hand over the wrapper, not the env inside of it"
)


def check_members(env: Any) -> None:
    """Look at what an env has before it is asked for anything.

    Raises:
        EnvError: Something that is required is missing, or something is of a type that no contract has; all at once.
    """
    problems = [f"it has no `{name}`: {what}" for name, what in REQUIRED.items() if not hasattr(env, name)]
    for name in ("num_envs", "num_actions"):
        if hasattr(env, name) and _as_count(getattr(env, name)) is None:
            problems.append(f"`{name}` should be an int of at least 1, it is {getattr(env, name)!r}")
    for name in ("get_observations", "step"):
        if hasattr(env, name) and not callable(getattr(env, name)):
            problems.append(f"`{name}` should be a method, it is {getattr(env, name)!r}")
    if not _is_device(getattr(env, "device", None)):
        problems.append(f"`device` should be a torch.device or its name, or not be there; it is {env.device!r}")
    if not isinstance(getattr(env, "max_episode_length", None), int | float | Tensor | None):
        problems.append(
            f"`max_episode_length` should be a number of steps, or a tensor of them, it is {env.max_episode_length!r}"
        )
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise EnvError(f"env '{name_of(env)}' is no env of rsl_rl's kind:{lines}\n{PROVIDERS}")


def name_of(env: Any) -> str:
    """How an env is called in messages."""
    return type(env).__name__


def reason_of(error: Exception) -> str:
    """What the env's code raised, and where in it; torch's own lines say little."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((each for each in reversed(frames) if "/torch/" not in each.filename), frames[-1])
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


def count_of(env: Any, name: str) -> int:
    """A number that `check_members` has looked at."""
    count = _as_count(getattr(env, name))
    assert count is not None, "check_members comes first"
    return count


def step_limit(env: Any) -> int | None:
    """The largest number of steps of an episode; None if the env does not say, or has no limit.

    Projects give an int, a float (legged_gym rounds up to one), or a tensor with the limit of each env.
    """
    limit = getattr(env, "max_episode_length", None)
    if isinstance(limit, Tensor):
        limit = limit.max().item()
    return None if limit is None or not math.isfinite(limit) else int(limit)


def action_bounds(env: Any) -> tuple[float, float]:
    """The smallest and the largest number that the env does not clip (`clip_actions`); infinite if it does not say."""
    clip = getattr(env, "clip_actions", None)
    is_bound = isinstance(clip, int | float) and not isinstance(clip, bool) and clip > 0
    bound = float(clip) if is_bound else math.inf  # type: ignore[arg-type]
    return -bound, bound


def action_names(env: Any) -> tuple[str, ...]:
    """What each action moves, as the action terms of Isaac Lab and mjlab say, or the cfg of Genesis' walking robots;
    empty where one does not.
    """
    manager = getattr(getattr(env, "unwrapped", env), "action_manager", None)
    names: list[str] = []
    if manager is None and isinstance(joints := setting(env, "joint_names"), list | tuple):
        names += map(str, joints)
    for name in getattr(manager, "active_terms", ()):
        term: Any = manager.get_term(name)  # type: ignore[union-attr]
        names += getattr(term, "target_names", None) or getattr(term, "_joint_names", None) or ()
    return tuple(names) if len(names) == count_of(env, "num_actions") else ()


def setting(env: Any, name: str) -> Any:
    """An entry of the env's `cfg`, a dict or an object, where there is one; else None."""
    cfg = getattr(env, "cfg", None)
    return cfg.get(name) if isinstance(cfg, dict) else getattr(cfg, name, None)


def _as_count(value: Any) -> int | None:
    try:
        count = operator.index(value)
    except TypeError:
        return None
    return count if count > 0 else None


def _is_device(device: Any) -> bool:
    try:
        return device is None or bool(torch.device(device).type)
    except (TypeError, RuntimeError):
        return False
