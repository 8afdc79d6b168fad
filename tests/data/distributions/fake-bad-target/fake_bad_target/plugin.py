"""Names a factory that does not exist."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_network(
        "bad",
        factory="fake_bad_target.network:Misspelt",
        config="fake_bad_target.network:FakeConfig",
        summary="Fake.",
    )
