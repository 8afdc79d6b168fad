"""Options."""

import attrs

from rslcore.config import Range, config, option
from rslcore.testing.fakes.config import FakeEnvConfig


@config
class CounterConfig:
    """A logger that counts."""

    step: int = option(1, "What an iteration counts.", Range(1))


@config
class NeedyConfig(FakeEnvConfig):
    """An env with a required option."""

    robot: str = option(attrs.NOTHING, "Which robot.")
