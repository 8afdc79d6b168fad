"""Options of the network."""

from rslcore.config import Range, config, option


@config
class ResidualConfig:
    """Residual blocks on the observation group `policy`."""

    width: int = option(64, "Width of every block.", Range(1))
    num_blocks: int = option(2, "Number of blocks.", Range(1))
