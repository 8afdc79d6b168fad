"""Declares the runner `on_policy`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the runner."""
    registry.add_runner(
        "on_policy",
        factory="rslcore_runners.on_policy:OnPolicyRunner",
        config="rslcore_runners.config:OnPolicyConfig",
        summary="Collects num_steps_per_env steps, then updates, until all iterations are done.",
    )
