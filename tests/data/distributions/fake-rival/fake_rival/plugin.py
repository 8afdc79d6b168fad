"""Offers the same name as fake-good."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_network(
        "fake_linear",
        factory="fake_rival.network:FakeLinear",
        config="fake_rival.config:FakeLinearConfig",
        summary="A single linear layer.",
    )
    registry.add_recipe("fake_recipe", file="fake_rival:recipe.yaml", summary="Fake.")
