"""The recipe `genesis`: an env over Genesis with its own agent's settings, translated from rsl_rl's."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from rslcore.config import ExperimentConfig
from rslcore.errors import ConfigError
from rslcore_genesis.simulator import import_genesis
from rslcore_rsl_rl.functions import call_function, find_function, needed_by
from rslcore_rsl_rl.task_recipe import task_recipe

_SETTINGS = "get_train_cfg"
"""What Genesis' examples call the function that gives the settings."""


def make_recipe(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the env that is asked for.

    Args:
        asked: The overrides; `env.factory` names the class, `env.cfgs` and `env.agent` functions beside it.

    Raises:
        MissingExtraError: Genesis is not installed.
        ConfigError: No class is named, there is none, or no settings, or they cannot be translated.
        EnvError: The function that gives the settings fails.
    """
    given = asked.get("env")
    env: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    factory = env.get("factory")
    if not isinstance(factory, str):
        raise ConfigError.at("env.factory", "name the class of the env, as in env.factory=go2_env:Go2Env")
    import_genesis()
    find_function(factory, "env.factory")
    name = factory.partition(":")[2]
    agent = _agent_settings(env, factory, asked)
    config = task_recipe(agent, {"name": "genesis", "factory": factory}, None, None)
    config["env"].pop("clip_actions")  # the class itself clips them
    return {"experiment": name, **config}


def _agent_settings(env: Mapping[str, Any], factory: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a function of the user's gives for rsl_rl's runner; of several dicts the first, as in Genesis' grasping."""
    at = "env.agent"
    name = factory.partition(":")[2]
    target = env.get("agent")
    if target is None:
        if isinstance(cfgs := env.get("cfgs"), str):
            find_function(cfgs, "env.cfgs")
            factory = cfgs
        module = factory.partition(":")[0]
        if not hasattr(importlib.import_module(module), _SETTINGS):
            raise ConfigError.at(
                at,
                f"module '{module}' has no `{_SETTINGS}`, as Genesis calls what gives the settings for rsl_rl; name "
                "the function, as in env.agent=go2_train:get_train_cfg, or another of its module, as in "
                "env.cfgs=go2_train:get_cfgs; or write a config of your own with the env 'genesis'",
            )
        target = f"{module}:{_SETTINGS}"
    settings = call_function(str(target), _of_run(find_function(str(target), at), name, asked), at)
    if isinstance(settings, tuple | list) and settings:
        settings = settings[0]
    if not isinstance(settings, Mapping):
        raise ConfigError.at(
            at, f"'{target}' gives {type(settings).__name__}, and should give a dict for rsl_rl's runner"
        )
    return settings


def _of_run(function: Callable[..., Any], name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What of the run's the function is given: what is asked for, and what it has no default of its own for."""
    iterations = inspect.signature(ExperimentConfig).parameters["iterations"].default
    options = {"exp_name": ("experiment", name), "max_iterations": ("iterations", iterations)}
    needed = needed_by(function)
    return {
        parameter: asked.get(option, default)
        for parameter, (option, default) in options.items()
        if option in asked or parameter in needed
    }
