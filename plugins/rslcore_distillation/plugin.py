"""Declares the algorithm `distillation`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register distillation."""
    registry.add_algorithm(
        "distillation",
        factory="rslcore_distillation.distillation:Distillation",
        config="rslcore_distillation.config:DistillationConfig",
        summary="A student learns to act as a teacher does, in the states that it meets itself (DAgger).",
    )
