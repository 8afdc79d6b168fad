"""Options of the distributions."""

from __future__ import annotations

from typing import Literal

from rslcore.config import Range, config, option
from rslcore.errors import ConfigError


@config
class GaussianConfig:
    """Independent normal distributions, one an action."""

    init_std: float = option(1.0, "Standard deviation to begin with, in units of action.", Range(0.0, open_low=True))
    std_type: Literal["scalar", "log"] = option(
        "scalar", "Whether the standard deviation itself is the learned parameter, or its logarithm."
    )
    std_range: tuple[float, float] = option(
        (1e-6, 1e6), "Smallest and largest standard deviation, in units of action.", Range(0.0, open_low=True)
    )
    learn_std: bool = option(True, "Whether the standard deviation is learned; otherwise it stays init_std.")

    def __attrs_post_init__(self) -> None:
        _check_std(self.init_std, self.std_range)


@config
class HeteroscedasticGaussianConfig:
    """Independent normal distributions, one an action, whose standard deviation the network gives."""

    init_std: float = option(
        1.0,
        "Standard deviation to begin with, in units of action; for networks that have an `output_layer`, as mlp has.",
        Range(0.0, open_low=True),
    )
    std_type: Literal["scalar", "log"] = option(
        "scalar", "Whether the network gives the standard deviation itself, or its logarithm."
    )
    std_range: tuple[float, float] = option(
        (1e-6, 1e6), "Smallest and largest standard deviation, in units of action.", Range(0.0, open_low=True)
    )

    def __attrs_post_init__(self) -> None:
        _check_std(self.init_std, self.std_range)


@config
class BetaConfig:
    """Independent beta distributions, one an action."""

    range: tuple[float, float] | None = option(
        None, "Smallest and largest action, the same for all; by default each action has the bounds that the env says."
    )

    def __attrs_post_init__(self) -> None:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ConfigError.at("range", f"{list(self.range)} holds no actions; the first number must be the smaller")


@config
class CategoricalConfig:
    """One choice out of several."""


@config
class MultiCategoricalConfig:
    """Several choices, each out of a number of its own."""


def _check_std(init_std: float, std_range: tuple[float, float]) -> None:
    """Raise ConfigError if the range is none, or does not hold the initial standard deviation."""
    low, high = std_range
    if low > high:
        raise ConfigError.at(
            "std_range", f"{list(std_range)} holds no standard deviation; the first number must not be the larger"
        )
    if not low <= init_std <= high:
        raise ConfigError.at(
            "init_std", f"{init_std} is outside std_range, [{low}, {high}]; choose one inside, or widen `std_range`"
        )
