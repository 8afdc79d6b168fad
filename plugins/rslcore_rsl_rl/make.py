"""Makes the env of `vec_env` by the function that its config names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from rslcore.context import Context
from rslcore.errors import ConfigError, EnvError, Problem, RslcoreError, nearest
from rslcore.registry.targets import find_target_fault, import_target
from rslcore_rsl_rl.config import VecEnvConfig
from rslcore_rsl_rl.members import name_of, reason_of
from rslcore_rsl_rl.vec_env import VecEnvAdapter


def make_vec_env(config: VecEnvConfig, context: Context) -> VecEnvAdapter:
    """Call the function, and adapt what it returns.

    Raises:
        ConfigError: There is no such function, it does not take the arguments, or makes another number of envs.
        EnvError: It fails, or what it returns is no env of rsl_rl's kind.
    """
    function = _find_function(config, context)
    arguments = _arguments(function, config, context)
    try:
        env = function(**arguments)
    except RslcoreError:
        raise
    except Exception as error:  # the function is the user's code
        what = f"'{config.factory}' cannot make the env: {reason_of(error)}"
        raise EnvError(f"{context.path}.factory: {what}") from error
    adapter = VecEnvAdapter(env, context.device, config.final_obs)
    if adapter.spec.num_envs != config.num_envs:
        adapter.close()
        made = (
            f"'{config.factory}' made {adapter.spec.num_envs} envs '{name_of(env)}', the config says {config.num_envs}"
        )
        raise context.error("num_envs", f"{made}; give the same number, or let the function take num_envs")
    return adapter


def _find_function(config: VecEnvConfig, context: Context) -> Callable[..., Any]:
    if config.factory is None:
        raise context.error(
            "factory",
            "no function makes the env: that of a run whose env a script handed over is known to the script alone; "
            "write a function that returns the env, and name it as in env.factory=my_lab.envs:make",
        )
    try:
        if fault := find_target_fault(config.factory):
            is_missing = "there is no module" in fault or "No module" in fault
            hint = "; install the package that has it, or put its folder on PYTHONPATH" if is_missing else ""
            raise context.error("factory", fault + hint)
        function: Callable[..., Any] = import_target(config.factory)
    except ConfigError:
        raise
    except RslcoreError as error:
        raise context.error("factory", str(error)) from error
    except Exception as error:  # the module is the user's code
        reason = f"{type(error).__name__}: {error}"
        raise context.error("factory", f"'{config.factory}' does not import: {reason}") from error
    if not callable(function):
        raise context.error("factory", f"'{config.factory}' is no function but {type(function).__name__}")
    return function


def _arguments(function: Callable[..., Any], config: VecEnvConfig, context: Context) -> dict[str, Any]:
    """What the function is called with: `kwargs`, and what else it takes of the run's."""
    of_run = {"num_envs": config.num_envs, "device": str(context.device), "seed": context.seed}
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # it does not say what it takes, as some written in C
        return {**of_run, **config.kwargs}
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    names = [each.name for each in named]
    arguments = {**{name: value for name, value in of_run.items() if takes_all or name in names}, **config.kwargs}
    problems = [
        Problem(f"{context.path}.kwargs.{name}", f"'{config.factory}' takes no '{name}'{nearest(name, names)}")
        for name in config.kwargs
        if not takes_all and name not in names
    ]
    problems += [
        Problem(f"{context.path}.kwargs", f"'{config.factory}' needs '{each.name}', which is not given")
        for each in named
        if each.default is each.empty and each.name not in arguments
    ]
    if problems:
        raise ConfigError(problems)
    return arguments
