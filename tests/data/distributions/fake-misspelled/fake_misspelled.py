"""Misspells its hook."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_registr(registry):
    raise AssertionError("must not be called")
