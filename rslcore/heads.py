"""Building blocks of policies: a network whose outputs are the parameters of a distribution.

Legend: B rows, F features.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

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


class LatentTap:
    """Keeps what the output layer of a network is fed with, `[B, F]`, until it is asked for."""

    def __init__(self) -> None:
        self._latent: Tensor | None = None

    def watch(self, policy: Any, network: str) -> None:
        """Tap the network that is an attribute of a policy; one without an `output_layer` has no latent."""
        layer = getattr(getattr(policy, network, None), "output_layer", None)
        if layer is not None:
            layer.register_forward_pre_hook(self._keep)

    def take(self) -> dict[str, Tensor]:
        """The latent of the latest pass as `{"latent": [B, F]}`; empty if there is none."""
        latent, self._latent = self._latent, None  # it would hold on to the graph of the pass
        return {} if latent is None else {"latent": latent}

    def _keep(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._latent = inputs[0]
