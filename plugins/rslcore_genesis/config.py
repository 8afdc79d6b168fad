"""Options of the env `genesis`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config import Range, config, option


@config
class GenesisConfig:
    """An env over Genesis: a class of yours as in Genesis' examples, or a function that makes one."""

    factory: str = option(
        attrs.NOTHING,
        "The class, or a function that makes the env, such as `go2_env:Go2Env`. It is called after `gs.init`, with "
        "`num_envs`, `device`, a string, and `seed`, as far as it takes them, with what `cfgs` gives, and with "
        "`kwargs`.",
    )
    cfgs: str | None = option(
        None,
        "The function that gives the configs that the class needs, in their order, such as `go2_train:get_cfgs`.",
    )
    agent: str | None = option(
        None,
        "The function from which the recipe has the settings for rsl_rl; by default `get_train_cfg` in the module of "
        "`cfgs`, or of `factory`.",
    )
    num_envs: int = option(4096, "N, the number of environments.", Range(1, 10**7))
    kwargs: Mapping[str, Any] = option({}, "Handed to the class as well, such as `{show_viewer: true}`.")
    changes: Mapping[str, Any] = option(
        {},
        "Changes of what `cfgs` gives, by dotted name that begins with the class's own for it: "
        "`{env_cfg.episode_length_s: 10.0, reward_cfg.reward_scales.base_height: -30.0}`.",
    )
    init: Mapping[str, Any] = option(
        {},
        "Handed to `gs.init` beside `backend` and `seed`, once a process: `{performance_mode: true, "
        "logging_level: info}`; the level is `warning` by default.",
    )
