"""Gives a class where its name is asked for."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


class Imported:
    """A network."""


@hookimpl
def rslcore_register(registry):
    registry.add_network("imported", factory=Imported, config="fake_class_target:Imported", summary="Fake.")
