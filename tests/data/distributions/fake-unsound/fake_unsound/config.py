"""Options."""

import tensordict  # noqa: F401 - what a config module should not do

from rslcore.config import config, option


@config
class PlainConfig:
    """No options."""


@config
class ChangingConfig:
    """Options that can be changed."""

    sizes: list[int] = option((8,), "Widths.")
    gain: float = option(1.0, "Factor.")
