"""Declares the extension `symmetry`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register symmetry."""
    registry.add_extension(
        "symmetry",
        factory="rslcore_symmetry.symmetry:Symmetry",
        config="rslcore_symmetry.config:SymmetryConfig",
        summary="Learns from mirrored transitions too, and keeps the policy symmetric (Mittal et al. 2024).",
    )
