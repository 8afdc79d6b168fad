"""Declares the extension `rnd`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register random network distillation."""
    registry.add_extension(
        "rnd",
        factory="rslcore_rnd.extension:Rnd",
        config="rslcore_rnd.config:RndConfig",
        summary="Random network distillation (Burda et al. 2019): a reward for what has not been observed often.",
    )
