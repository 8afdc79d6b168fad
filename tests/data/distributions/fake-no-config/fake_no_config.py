"""Declares a component without a config class."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_network("bare", factory="fake_no_config:Bare", summary="Fake.")


class Bare:
    """A network."""
