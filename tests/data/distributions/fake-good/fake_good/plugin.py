"""A plugin that works."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_network(
        "fake_linear",
        factory="fake_good.network:FakeLinear",
        config="fake_good.config:FakeLinearConfig",
        summary="A single linear layer.",
    )
    registry.add_recipe("fake_recipe", file="fake_good:recipe.yaml", summary="Fake.")
