"""Options of the replay."""

from __future__ import annotations

from rslcore.config import Range, config, option


@config
class ReplayConfig:
    """A ring of the latest transitions, on the device. What it takes is allocated once, at the first step."""

    capacity: int = option(
        1_000_000,
        "Transitions that are kept over all envs, `capacity // num_envs` steps of each; observations are kept twice, "
        "before and after the step.",
        Range(1),
    )
    save: bool = option(
        False,
        "Whether checkpoints hold what is kept. Without it a resumed run begins with an empty replay: the policy "
        "that was loaded collects again what learning begins with.",
    )
