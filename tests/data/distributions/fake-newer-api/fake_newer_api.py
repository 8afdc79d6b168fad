"""Written for a later API."""

from rslcore.registry import hookimpl

PLUGIN_API = 2


@hookimpl
def rslcore_register(registry):
    raise AssertionError("must not be called")
