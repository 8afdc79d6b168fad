"""Declares one name twice."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_network(
        "twin",
        factory="fake_duplicate:Twin",
        config="fake_duplicate:Twin",
        summary="Fake.",
    )
    registry.add_network(
        "twin",
        factory="fake_duplicate:Twin",
        config="fake_duplicate:Twin",
        summary="Fake.",
    )


class Twin:
    """A network."""
