"""The configs of an env over Genesis, dictionaries that a function of the user's gives, as its class needs them."""

from __future__ import annotations

import copy
from typing import Any

from rslcore.errors import ConfigError
from rslcore_genesis.config import GenesisConfig
from rslcore_rsl_rl.changes import apply_changes
from rslcore_rsl_rl.functions import call_function, find_function, needed_by

_OF_RUN = ("num_envs", "device", "seed")
"""What a class is given by name, if it takes it."""


def find_cfgs(config: GenesisConfig, at: str) -> dict[str, Any]:
    """The configs by the class's own names for them, changed.

    They are given in order to what the class needs, beside what is the run's and what `kwargs` has. A number of envs
    that one of them has, as that of Genesis' arm does, becomes the run's.

    Args:
        config: Of the env.
        at: Its place in the run's config, for messages.

    Raises:
        ConfigError: There is no such class or function, they do not go together, or there is nothing of a name to be
            changed.
        EnvError: The function fails.
    """
    function = find_function(config.factory, f"{at}.factory")
    names = [name for name in needed_by(function) if name not in _OF_RUN and name not in config.kwargs]
    given = call_function(config.cfgs, {}, f"{at}.cfgs") if config.cfgs is not None else ()
    given = given if isinstance(given, tuple | list) else (given,)
    if len(given) != len(names):
        raise ConfigError.at(f"{at}.cfgs", _misfit(config, names, len(given)))
    # Some classes write into them, as Go2Env does into its scales, and some functions give the same ones again.
    cfgs: dict[str, Any] = copy.deepcopy(dict(zip(names, given, strict=True)))
    apply_changes(cfgs, config.changes, f"{at}.changes")
    for cfg in cfgs.values():
        if isinstance(cfg, dict) and "num_envs" in cfg:
            cfg["num_envs"] = config.num_envs
    return cfgs


def _misfit(config: GenesisConfig, names: list[str], num_given: int) -> str:
    needed = ", ".join(f"'{name}'" for name in names) or "none"
    needs = f"'{config.factory}' needs {needed}"
    if config.cfgs is None:
        return f"{needs}; name the function that gives them in this order, as in env.cfgs=go2_train:get_cfgs"
    return f"'{config.cfgs}' gives {num_given} configs, and {needs}; name another function, or give the rest by kwargs"
