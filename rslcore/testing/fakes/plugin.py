"""Declares the fakes. It is no entry point: only registries of `rslcore.testing` hold it."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the fakes."""
    registry.add_env(
        "fake",
        factory="rslcore.testing.fakes.env:FakeEnv",
        config="rslcore.testing.fakes.config:FakeEnvConfig",
        summary="A small deterministic env for tests.",
    )
    registry.add_extension(
        "fake",
        factory="rslcore.testing.fakes.extension:FakeExtension",
        config="rslcore.testing.fakes.config:FakeExtensionConfig",
        summary="An extension that takes part everywhere, for tests.",
    )
