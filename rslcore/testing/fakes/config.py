"""Options of the fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rslcore.config import Range, config, option


@config
class FakeEnvConfig:
    """A small deterministic env on the CPU: numbers that actions push about, seen through fixed projections."""

    num_envs: int = option(4, "N, the number of environments.", Range(1))
    groups: Mapping[str, tuple[int, ...]] = option(
        {"policy": (3,), "privileged": (2,)}, "Shape of a row of each observation group; all are float32."
    )
    actions: Literal["continuous", "bounded", "discrete", "multi_discrete"] = option(
        "continuous",
        "Two numbers without bounds; two in [-1, 1]; one choice of three; or two choices, of three and of two.",
    )
    episode_lengths: tuple[int, ...] = option(
        (3, 5, 4), "Steps of the episodes, in turn; env i begins with item i, so that not all end at once.", Range(1)
    )
    endings: tuple[Literal["terminated", "truncated"], ...] = option(
        ("terminated", "truncated"), "How the episodes end, in turn."
    )
    autoreset: Literal["same_step", "next_step"] = option(
        "same_step", "Whether an env that has ended resets at once, or in its next step, which is then no transition."
    )
    keeps_final_obs: bool = option(True, "Whether a step gives the last observations of ended episodes.")


@config
class FakeExtensionConfig:
    """An extension that takes part everywhere: a group, a column, a reward term, a loss and a module of its own."""
