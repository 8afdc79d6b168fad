"""Functions of the user's that a config names: found, and called with what they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from rslcore.errors import ConfigError, EnvError, Problem, RslcoreError, nearest
from rslcore.registry.targets import find_target_fault, import_target
from rslcore_rsl_rl.members import reason_of


def find_function(target: str, at: str) -> Callable[..., Any]:
    """The function, or the class, that `module:function` names.

    Args:
        target: As the user writes it.
        at: Its place in the config, for messages.

    Raises:
        ConfigError: There is none, its module does not import, or it is no function.
    """
    try:
        if fault := find_target_fault(target):
            is_missing = "there is no module" in fault
            hint = "; install the package that has it, or put its folder on PYTHONPATH" if is_missing else ""
            raise ConfigError.at(at, fault + hint)
        function: Callable[..., Any] = import_target(target)
    except ConfigError:
        raise
    except RslcoreError as error:
        raise ConfigError.at(at, str(error)) from error
    except Exception as error:  # the module is the user's code
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError.at(at, f"'{target}' does not import: {reason}") from error
    if not callable(function):
        raise ConfigError.at(at, f"'{target}' is no function but {type(function).__name__}")
    return function


def needed_by(function: Callable[..., Any]) -> list[str]:
    """Names of what a function cannot be called without; none if it does not say, as some written in C."""
    return [each.name for each in named_parameters(function) or () if each.default is each.empty]


def takes_any_name(function: Callable[..., Any]) -> bool:
    """Whether a function takes what it does not name, as by `**kwargs`; also if it does not say what it takes."""
    if named_parameters(function) is None:
        return True
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(function).parameters.values())


def choose_arguments(
    function: Callable[..., Any], target: str, of_run: Mapping[str, Any], given: Mapping[str, Any], at: str
) -> dict[str, Any]:
    """What a function is called with: all that is given, and what else it takes of the run's.

    Args:
        function: To be called.
        target: How the user named it, for messages.
        of_run: By name; what the function does not take is left out.
        given: By name; of the same name, it replaces what is the run's.
        at: The place of `given` in the config, for messages.

    Raises:
        ConfigError: The function does not take something that is given, or needs what is not; all of it at once.
    """
    names = [each.name for each in named_parameters(function) or ()]
    takes_all = takes_any_name(function)
    arguments = {**{name: value for name, value in of_run.items() if takes_all or name in names}, **given}
    problems = [
        Problem(f"{at}.{name}", f"'{target}' takes no '{name}'{nearest(name, names)}")
        for name in given
        if not takes_all and name not in names
    ]
    problems += [
        Problem(at, f"'{target}' needs '{name}', which is not given")
        for name in needed_by(function)
        if name not in arguments
    ]
    if problems:
        raise ConfigError(problems)
    return arguments


def call_function(target: str, of_run: Mapping[str, Any], at: str) -> Any:
    """Find and call a function with what it takes of the run's.

    Raises:
        ConfigError: As `find_function`, or it needs more.
        EnvError: It fails.
    """
    function = find_function(target, at)
    arguments = choose_arguments(function, target, of_run, {}, at)
    try:
        return function(**arguments)
    except RslcoreError:
        raise
    except Exception as error:  # the function is the user's code
        raise EnvError(f"{at}: '{target}' fails: {reason_of(error)}") from error


def named_parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """What a function can be given by name; None if it does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
