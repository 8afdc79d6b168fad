"""Options of the distributions."""

from __future__ import annotations

from typing import Literal

from rslcore.config import Range, config, option


@config
class GaussianConfig:
    """Independent normal distributions, one an action."""

    init_std: float = option(1.0, "Standard deviation to begin with, in units of action.", Range(0.0, open_low=True))
    std_type: Literal["scalar", "log"] = option(
        "scalar", "Whether the standard deviation itself is the learned parameter, or its logarithm."
    )


@config
class CategoricalConfig:
    """One choice out of several."""
