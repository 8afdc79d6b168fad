"""Options of the env `mjlab`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config import Range, config, option


@config
class MjlabConfig:
    """A task of mjlab, simulated by MuJoCo Warp on a GPU or, slowly, on a CPU."""

    task: str = option(attrs.NOTHING, "As mjlab lists it, such as `Mjlab-Cartpole-Balance`.")
    num_envs: int | None = option(None, "N, the number of environments; by default the task's own.", Range(1, 10**7))
    play: bool = option(
        False,
        "Whether the task is as mjlab plays it, without noise; episodes without an end last as long as in training.",
    )
    clip_actions: float | None = option(
        None, "Actions are clipped to this and its negative before the env is given them.", Range(0.0, open_low=True)
    )
    changes: Mapping[str, Any] = option(
        {}, "Changes of the task's own configuration, by dotted name: `{episode_length_s: 10.0, sim.njmax: 200}`."
    )
