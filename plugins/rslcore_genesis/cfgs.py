"""The configs of an env over Genesis, dictionaries that a function of the user's gives, as its class needs them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from rslcore.errors import ConfigError, Problem
from rslcore_genesis.config import GenesisConfig
from rslcore_rsl_rl.changes import apply_changes
from rslcore_rsl_rl.functions import call_function, find_function, named_parameters, takes_any_name

_OF_RUN = ("num_envs", "device", "seed")
"""What a class is given by name, if it takes it."""


def find_cfgs(config: GenesisConfig, at: str) -> dict[str, Any]:
    """The configs by the class's own names for them, changed.

    They are given in order to what the class needs, beside what is the run's and what `kwargs` has, and if there are
    more of them, to what it can take. A number of envs that one of them has, as that of Genesis' arm does, becomes the
    run's.

    Args:
        config: Of the env.
        at: Its place in the run's config, for messages.

    Raises:
        ConfigError: There is no such class or function, they do not go together, a config cannot be copied, or there is
            nothing of a name to be changed.
        EnvError: The function fails.
    """
    function = find_function(config.factory, f"{at}.factory")
    given = call_function(config.cfgs, {}, f"{at}.cfgs") if config.cfgs is not None else ()
    given = given if isinstance(given, tuple | list) else (given,)
    cfgs = _copies(_name_cfgs(function, config, given, f"{at}.cfgs"), config, f"{at}.cfgs")
    apply_changes(cfgs, config.changes, f"{at}.changes")
    for cfg in cfgs.values():
        if isinstance(cfg, dict) and "num_envs" in cfg:
            cfg["num_envs"] = config.num_envs
    return cfgs


def _name_cfgs(function: Callable[..., Any], config: GenesisConfig, given: Sequence[Any], at: str) -> dict[str, Any]:
    """The configs by the names of the parameters that they are for: all that are needed, and as many others."""
    parameters = [
        each for each in named_parameters(function) or () if each.name not in _OF_RUN and each.name not in config.kwargs
    ]
    needed = [each.name for each in parameters if each.default is each.empty]
    # A number or a string, such as `show_viewer=False`, is no config.
    others = [
        each.name
        for each in parameters
        if each.default is not each.empty and not isinstance(each.default, bool | int | float | str)
    ]
    if len(given) < len(needed):
        raise ConfigError.at(at, _too_few(config, needed, len(given)))
    if len(given) > len(needed) + len(others):
        raise ConfigError.at(at, _too_many(function, config, [*needed, *others], len(given)))
    chosen = {*needed, *others[: len(given) - len(needed)]}
    return dict(zip((each.name for each in parameters if each.name in chosen), given, strict=True))


def _too_few(config: GenesisConfig, needed: Sequence[str], num_given: int) -> str:
    needs = f"'{config.factory}' needs {_quoted(needed)}"
    if config.cfgs is None:
        return f"{needs}; name the function that gives them in this order, as in env.cfgs=go2_train:get_cfgs"
    return f"{_gives(config, num_given)}, and {needs}; name another function, or give the rest by kwargs"


def _too_many(function: Callable[..., Any], config: GenesisConfig, names: Sequence[str], num_given: int) -> str:
    gives = _gives(config, num_given)
    if takes_any_name(function):
        return (
            f"{gives}, and '{config.factory}' names {_quoted(names)} of what it takes; name as env.factory a function "
            "of your own that makes the env and has a parameter for each config, as `def make(num_envs, env_cfg, "
            "obs_cfg)`"
        )
    return f"{gives}, and '{config.factory}' takes {_quoted(names)}; name another function"


def _gives(config: GenesisConfig, num_given: int) -> str:
    return f"'{config.cfgs}' gives {num_given} config{'' if num_given == 1 else 's'}"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"


def _copies(cfgs: dict[str, Any], config: GenesisConfig, at: str) -> dict[str, Any]:
    """Copies: some classes write into configs, as Go2Env into its scales, and some functions give the same again."""
    copied: dict[str, Any] = {}
    problems: list[Problem] = []
    memo: dict[int, Any] = {}  # what two configs share they share afterwards
    for name, cfg in cfgs.items():
        try:
            copied[name] = copy.deepcopy(cfg, memo)
        except Exception as error:  # of what is the user's
            what = f"'{config.cfgs}' gives '{name}' with something in it that cannot be copied ({error})"
            problems.append(Problem(at, f"{what}; give plain data, and make the rest of it in the class"))
    if problems:
        raise ConfigError(problems)
    return copied
