"""Options of the Gymnasium env."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from rslcore.config import Range, config, option


@config
class GymnasiumConfig:
    """An env of Gymnasium's registry, many times at once."""

    id: str = option(attrs.NOTHING, "As for `gymnasium.make`; `module:Id-v0` imports the module first.")
    num_envs: int = option(16, "N, the number of environments.", Range(1, 10_000_000))
    vectorization: Literal["auto", "sync", "async"] = option(
        "auto",
        "`sync` steps one env after the other in this process, `async` gives each a process of its own, `auto` takes "
        "the env's own vectorised version where it has one and `sync` otherwise.",
    )
    rescale_actions: bool = option(
        True,
        "Whether actions in [-1, 1] are stretched to the bounds of a bounded Box; otherwise they are clipped to them.",
    )
    groups: Mapping[str, tuple[int, ...]] = option(
        {},
        "For an env whose observation is a 1-D Box: the groups that it is split into, each a list of entries, counted "
        "from 0; an entry may be in several. By default all are in one group, `policy`.",
    )
    kwargs: Mapping[str, Any] = option({}, "Handed to the env's constructor.")
