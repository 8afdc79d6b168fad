"""Does not state its API."""

from rslcore.registry import hookimpl


@hookimpl
def rslcore_register(registry):
    raise AssertionError("must not be called")
