"""Overrides of a config: `key=value`, read and set in a tree, and what they leave behind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import attrs
from omegaconf import DictConfig, ListConfig, OmegaConf

from rslcore.config.converter import UNKNOWN_KEY
from rslcore.errors import ConfigError, Problem, listed

_KEY = re.compile(r"[^\s.\[\]=](?:[^.\[\]=]*[^\s.\[\]=])?(?:\.[^\s.\[\]=](?:[^.\[\]=]*[^\s.\[\]=])?|\[[^\[\]]+\])*")
"""How the key of an override is written: names with dots between them, items of lists in brackets."""


def parse_override(override: str) -> tuple[str, Any]:
    """The key and the value of an override, which is read as YAML; an interpolation in it is left as it stands.

    Raises:
        ConfigError: It is not `key=value`, or the value is no YAML.
    """
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError.at("", f"the override '{override}' should be written key=value, as in seed=2")
    if not _KEY.fullmatch(key):
        example = "write it as in algorithm.learning_rate=1e-4 or loggers[0].name=console"
        raise ConfigError.at("", f"the override '{override}' does not begin with a key; {example}")
    try:
        # Not resolved yet: the value may be an interpolation of a key that a later override sets.
        return key, OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[index, call-overload]
    except Exception as error:  # the constructors of tags and numbers raise what they like
        invalid = f"the override '{override}' cannot be applied: its value is not valid YAML"
        if text.count("[") > text.count("]") or text.count("{") > text.count("}"):
            invalid += "; a bracket is open: a value with spaces needs quotes, as in 'loggers=[{name: console}]'"
        raise ConfigError.at(key, invalid) from error


def apply_override(tree: DictConfig, override: str) -> None:
    """Set what an override says.

    Raises:
        ConfigError: As `parse_override`, or the tree has no such place.
    """
    key, value = parse_override(override)
    try:
        _refuse_lost_parent(tree, key)
        OmegaConf.update(tree, key, value, merge=False, force_add=True)
    except IndexError:
        raise ConfigError.at(key, f"the override '{override}' cannot be applied: the list is shorter") from None
    except Exception as error:
        raise ConfigError.at(key, f"the override '{override}' cannot be applied: {first_line(error)}") from error


@attrs.frozen
class Replaced:
    """A component whose name an override changed, while the options of the old one stayed: they may not fit the new."""

    path: str
    old: str
    new: str
    options: tuple[str, ...]


def replaced_component(tree: DictConfig, override: str) -> list[Replaced]:
    """The component whose name an override is about to change, if it changes one."""
    key, _, new = override.partition("=")
    path, _, field = key.rpartition(".")
    held = OmegaConf.select(tree, path) if path and field == "name" else None
    if not isinstance(held, DictConfig) or not isinstance(held.get("name"), str) or held["name"] == new:
        return []
    return [Replaced(path, held["name"], new, tuple(str(option) for option in held if option != "name"))]


def explained(problems: Iterable[Problem], replaced: Iterable[Replaced]) -> list[Problem]:
    """Problems in which the keys that a replaced component has left behind are told as one, and why they are there."""
    problems = list(problems)
    for each in replaced:
        of_old = {f"{each.path}.{option}": option for option in each.options}
        left = [problem for problem in problems if problem.path in of_old and problem.message.startswith(UNKNOWN_KEY)]
        if left:
            options = listed(of_old[problem.path] for problem in left)
            message = f"'{each.new}' has no options {options}, which stand there for '{each.old}'; "
            message += f"to replace it whole, write {each.path}={{name: {each.new}}}"
            at = problems.index(left[0])
            problems = [problem for problem in problems if problem not in left]
            problems.insert(at, Problem(each.path, message))
    return problems


def _refuse_lost_parent(tree: DictConfig, key: str) -> None:
    """Refuse to set `seed.x`, which would silently replace the number `seed` by a mapping."""
    parent = key.rpartition(".")[0]
    while parent:
        held = OmegaConf.select(tree, parent)
        if held is not None and not isinstance(held, DictConfig | ListConfig):
            raise ValueError(f"'{parent}' is {held!r}, which has no keys")
        parent = parent.rpartition(".")[0]


def first_line(error: Exception) -> str:
    """What an exception says, without the lines that libraries add about themselves."""
    return next(iter(str(error).splitlines()), type(error).__name__)
