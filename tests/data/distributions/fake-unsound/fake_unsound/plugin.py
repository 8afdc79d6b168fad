"""A plugin that loads, and has much to mend."""

import torch  # noqa: F401 - what a plugin module should not do

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    names = {"narrow": "Narrow", "raising": "Raising"}
    for name, logger in names.items():
        registry.add_logger(
            f"fake_{name}",
            factory=f"fake_unsound.loggers:{logger}",
            config="fake_unsound.config:PlainConfig",
            summary="Bad.",
        )
    registry.add_network(
        "fake_changing",
        factory="fake_unsound.loggers:Raising",
        config="fake_unsound.config:ChangingConfig",
        summary="",
    )
    registry.add_recipe("fake_recipe", file="fake_unsound:recipe.yaml", summary="Bad.")
