"""Declares a command under a name of rslcore's own."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_command("train", target="fake_command:train", summary="Fake.")


def train():
    """A command."""
