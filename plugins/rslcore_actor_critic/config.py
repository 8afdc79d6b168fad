"""Options of the actor-critic."""

from __future__ import annotations

import attrs

from rslcore.config import DistributionComponent, NetworkComponent, config, option


@config
class ActorConfig:
    """From observations to a distribution over actions."""

    network: NetworkComponent = option(attrs.NOTHING, "Maps observations to the distribution's parameters.")
    distribution: DistributionComponent = option(attrs.NOTHING, "What actions are drawn from.")


@config
class CriticConfig:
    """From observations to a value."""

    network: NetworkComponent = option(attrs.NOTHING, "Maps observations to the value; may read other groups.")


@config
class ActorCriticConfig:
    """An actor and a critic."""

    actor: ActorConfig = option(attrs.NOTHING, "Chooses actions.")
    critic: CriticConfig = option(attrs.NOTHING, "Estimates returns.")
    share_encoders: bool = option(
        False, "Whether the critic uses the actor's encoders of images, which both train; both networks must have them."
    )
