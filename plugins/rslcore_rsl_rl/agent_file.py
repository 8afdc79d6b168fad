"""Reads the `agent.yaml` that projects write beside rsl_rl's checkpoints, without running anything that it names.

Python's own tags stand in such files: tuples, slices, functions, classes. They are read as the plain data that they are
made of, and functions and classes as their names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rslcore.errors import ConfigError

_PYTHON = "tag:yaml.org,2002:python/"
_NAMES = ("name:", "module:")


class _Loader(yaml.SafeLoader):
    """Plain data only; `1e-3` is a number, as users of YAML 1.2 expect."""


def _construct_python(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    for kind in _NAMES:  # !!python/name:rsl_rl.algorithms.PPO
        if suffix.startswith(kind):
            return suffix.removeprefix(kind)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor(_PYTHON, _construct_python)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+"),
    list("-+0123456789."),
)


def read_agent_file(path: str | os.PathLike[str]) -> Any:
    """What an `agent.yaml` holds, as plain data.

    Raises:
        ConfigError: It cannot be read, or is no YAML.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError.at("", f"'{path}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError.at("", f"'{path}' cannot be read: it is not UTF-8 text") from None
    except RecursionError:
        raise ConfigError.at("", f"'{path}' is nested too deeply to be read") from None
    except Exception as error:  # the constructors of tags and numbers raise what they like
        raise ConfigError.at("", f"'{path}' is not valid YAML: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Where and why, as the core says it of its own configs."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def is_agent_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the shape of what rsl_rl's runners take, of any version."""
    try:
        data = read_agent_file(path)
    except ConfigError:
        return False
    if not isinstance(data, Mapping):
        return False
    algorithm, runner = data.get("algorithm"), data.get("runner")
    if not isinstance(algorithm, Mapping) or is_of_rslcore(data):
        return False
    of_rsl_rl_1 = isinstance(runner, Mapping) and {"algorithm_class_name", "policy_class_name"} & set(runner)
    return "num_steps_per_env" in data or bool(of_rsl_rl_1)


def is_of_rslcore(data: Any) -> bool:
    """Whether data is a config of rslcore's own, in which components have names, not classes."""
    algorithm = data.get("algorithm") if isinstance(data, Mapping) else None
    return isinstance(algorithm, Mapping) and "name" in algorithm


def is_of_an_env(data: Any) -> bool:
    """Whether data is the config of an env, which Isaac Lab and mjlab write as env.yaml beside agent.yaml."""
    return isinstance(data, Mapping) and "algorithm" not in data and {"decimation", "scene", "sim"} <= set(data)
