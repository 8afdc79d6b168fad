"""A plugin that adds commands and computed recipes, and knows the configs of another program."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_command("fake-greet", target="fake_tools.commands:greet", summary="Greets.")
    registry.add_recipe(
        "fake_sized", function="fake_tools.recipes:sized", env="gymnasium", summary="As large as is asked for."
    )
    registry.add_recipe("fake_broken", function="fake_tools.recipes:broken", env="gymnasium", summary="Fails.")


@hookimpl
def rslcore_foreign_config(path):
    text = path.read_text()
    if "fake_version: 1" in text:
        return f"'{path}' is a config of fake; type `rslcore fake-greet robot`"
    if "fake_version: 3" in text:
        return path
    return {}["fake"] if "fake_version" in text else None
