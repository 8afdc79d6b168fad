"""Options of the env `playground`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config import Range, config, option


@config
class PlaygroundConfig:
    """A task of MuJoCo Playground, simulated by MJX on a GPU or, slowly, on a CPU."""

    task: str = option(attrs.NOTHING, "As Playground lists it, such as `CartpoleBalance`.")
    num_envs: int = option(4096, "N, the number of environments.", Range(1, 10**7))
    randomize: bool = option(True, "Whether each env has other masses and frictions, where the task says which.")
    changes: Mapping[str, Any] = option(
        {}, "Changes of the task's own configuration, by dotted name: `{episode_length: 500, noise_config.level: 0.5}`."
    )
