"""Declares the storage `replay`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the replay."""
    registry.add_storage(
        "replay",
        factory="rslcore_replay.storage:Replay",
        config="rslcore_replay.config:ReplayConfig",
        summary="Keeps the latest transitions on the device; samples windows of n steps.",
    )
