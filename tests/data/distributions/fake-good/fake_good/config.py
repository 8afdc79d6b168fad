"""Options of the fake network."""

from rslcore.config import Range, config, option


@config
class FakeLinearConfig:
    """A single linear layer."""

    gain: float = option(1.0, "Factor on the outputs.", Range(0.0))
