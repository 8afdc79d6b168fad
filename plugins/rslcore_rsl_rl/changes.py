"""Changes a task's configuration, nested dataclasses and dicts of mjlab, Isaac Lab or Genesis, by dotted names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rslcore.errors import ConfigError, Problem, listed, nearest


def apply_changes(task_cfg: Any, changes: Mapping[str, Any], at: str) -> None:
    """Set values in a task's configuration, in place.

    Args:
        task_cfg: A dataclass or a dict.
        changes: New values by dotted name, or nested, as overrides on the command line make them; what a mapping does
            not name stays, and an empty one empties a dict. A tuple may be given as a list.
        at: Place of the changes in the run's config, for messages.

    Raises:
        ConfigError: There is no such name, or it is one of several settings; all of them at once.
    """
    problems = [
        problem
        for name, value in _flattened(task_cfg, changes)
        if (problem := _apply(task_cfg, name, value, f"{at}.{name}"))
    ]
    if problems:
        raise ConfigError(problems)


def _flattened(owner: Any, changes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The changes by dotted name, down to where a value is set."""
    for name, value in changes.items():
        held = owner
        for part in name.split("."):
            held = _member(held, part)
        if isinstance(value, Mapping) and value and _keys(held):
            yield from ((f"{name}.{inner}", each) for inner, each in _flattened(held, value))
        else:
            yield name, value


def _apply(owner: Any, name: str, value: Any, at: str) -> Problem | None:
    *parents, last = name.split(".")
    for place, part in enumerate(parents):
        if part not in (keys := _keys(owner)):
            return _unknown(".".join(parents[: place + 1]), part, keys, at)
        owner = _member(owner, part)
    if last not in (keys := _keys(owner)):
        return _unknown(name, last, keys, at)
    held = _member(owner, last)
    if dataclasses.is_dataclass(held):
        return Problem(at, f"'{name}' is several settings; name those that are to be changed: {listed(_keys(held))}")
    if isinstance(owner, dict):
        owner[last] = value
    else:
        setattr(owner, last, tuple(value) if isinstance(held, tuple) and isinstance(value, list) else value)
    return None


def _member(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)


def _keys(owner: Any) -> list[str]:
    if isinstance(owner, dict):
        return [str(key) for key in owner]
    return [field.name for field in dataclasses.fields(owner)] if dataclasses.is_dataclass(owner) else []


def _unknown(name: str, part: str, keys: list[str], at: str) -> Problem:
    known = f" (there are: {listed(keys)})" if keys else ""
    return Problem(at, f"the task's configuration has no '{name}'{nearest(part, keys)}{known}")
