"""Raises in its hook."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    raise RuntimeError("no licence found")
