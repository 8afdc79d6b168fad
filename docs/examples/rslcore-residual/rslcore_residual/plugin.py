"""Declares the network `residual`."""

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the network."""
    registry.add_network(
        "residual",
        factory="rslcore_residual.network:Residual",
        config="rslcore_residual.config:ResidualConfig",
        summary="Fully connected blocks, each added to its own input.",
    )
