"""Declares the networks."""

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
    for name, cls, long_name in (("lstm", "Lstm", "Long short-term memory"), ("gru", "Gru", "Gated recurrent unit")):
        registry.add_network(
            name,
            factory=f"rslcore_networks.recurrent:{cls}",
            config="rslcore_networks.config:RecurrentConfig",
            summary=f"{long_name} on 1-D observation groups, then fully connected layers.",
        )
    registry.add_network(
        "cnn",
        factory="rslcore_networks.cnn:Cnn",
        config="rslcore_networks.config:CnnConfig",
        summary="Convolutional encoders of image groups, then fully connected layers; 1-D groups beside them.",
    )
