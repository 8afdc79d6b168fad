"""Requires a later rslcore."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    raise AssertionError("must not be called")
