"""Options of `vec_env`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rslcore.config import Range, config, option


@config
class VecEnvConfig:
    """An env of rsl_rl's kind that a function of yours makes."""

    factory: str | None = option(
        None,
        "`module:function`, or a class, that makes the env. It is called with `num_envs`, `device`, a string, and "
        "`seed`, as far as it takes them, and with `kwargs`. Null in a run whose env a script handed over.",
    )
    num_envs: int = option(4096, "N, the number of environments.", Range(1, 10_000_000))
    kwargs: Mapping[str, Any] = option(
        {}, "Handed to the function; of the same name, they replace `num_envs`, `device` and `seed`."
    )
    final_obs: bool | None = option(
        None,
        "Whether the env's extras hold the true last observations of episodes; null to believe its cfg "
        "(`compute_final_obs` of Isaac Lab).",
    )
