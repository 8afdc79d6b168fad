"""Declares the network `mlp`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the networks."""
    registry.add_network(
        "mlp",
        factory="rslcore_networks.mlp:Mlp",
        config="rslcore_networks.config:MlpConfig",
        summary="Fully connected layers on one or several 1-D observation groups.",
    )
