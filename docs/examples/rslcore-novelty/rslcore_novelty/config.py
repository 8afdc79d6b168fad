"""Options of the extension. This module imports no torch, so that options can be read and checked without it."""

from rslcore.config import Range, config, option


@config
class NoveltyConfig:
    """A predictor learns the outputs of a random network; its error is the reward.

    The error is also the observation group `novelty`, which a critic may read to know what is still to be earned.
    """

    weight: float = option(0.1, "Factor on the error before it is added to the reward.", Range(0.0))
    width: int = option(32, "Outputs of the random network and width of both networks.", Range(1))
    learning_rate: float = option(1e-3, "Of the predictor; it does not follow the KL divergence.", Range(0.0))
