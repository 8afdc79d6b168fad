"""A plugin that adds commands and computed recipes."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_command("fake-greet", target="fake_tools.commands:greet", summary="Greets.")
    registry.add_recipe("fake_sized", function="fake_tools.recipes:sized", summary="As large as is asked for.")
    registry.add_recipe("fake_broken", function="fake_tools.recipes:broken", summary="Fails.")
