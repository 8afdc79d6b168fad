"""Building blocks of policies: a network whose outputs are the parameters of a distribution."""

from __future__ import annotations

from typing import Any

from rslcore.config import DistributionComponent, NetworkComponent
from rslcore.context import Context
from rslcore.protocols import Distribution


def build_stochastic_network(
    context: Context, network: NetworkComponent, distribution: DistributionComponent, at: str
) -> tuple[Any, Distribution]:
    """Build a network and the distribution that its outputs are parameters of.

    A network that has an `output_layer` gets the first weights there that the distribution wants.

    Args:
        context: The policy's.
        network: From the policy's config, as `<at>.network`.
        distribution: From the policy's config, as `<at>.distribution`.
        at: Place of both in the policy's config.
    """
    built_distribution: Distribution = context.build(distribution, f"{at}.distribution")
    built_network = context.build(network, f"{at}.network", num_outputs=built_distribution.num_inputs)
    output_layer = getattr(built_network, "output_layer", None)
    if output_layer is not None:
        built_distribution.initialize_outputs(output_layer)
    return built_network, built_distribution
