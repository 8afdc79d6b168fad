"""Declares the storage `rollout`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the rollout storage."""
    registry.add_storage(
        "rollout",
        factory="rslcore_rollout.storage:RolloutStorage",
        config="rslcore_rollout.config:RolloutConfig",
        summary="Keeps one rollout on the device; hands it out in permuted minibatches.",
    )
