"""Commands and computed recipes that plugins bring."""

from __future__ import annotations

import json
import re

import pytest

import rslcore.cli as rslcore_cli


@pytest.fixture
def tools(install, monkeypatch):
    """The command line where a distribution with commands and computed recipes is installed."""
    registry = install("fake-tools")
    monkeypatch.setattr(rslcore_cli, "default_registry", lambda: registry)


def test_a_command_of_a_plugin_is_called(tools, rslcore):
    assert rslcore("fake-greet", "robot") == (0, "hello robot\n", "")


def test_a_command_of_a_plugin_is_in_the_help_and_in_the_list_of_plugins(tools, rslcore):
    lines = [line.split(maxsplit=1) for line in rslcore("--help")[1].splitlines()]
    assert ["fake-greet", "Greets."] in lines
    rows = json.loads(rslcore("list-plugins", "--json")[1])
    (row,) = [row for row in rows if row["distribution"] == "fake-tools"]
    assert row["commands"] == [{"name": "fake-greet", "summary": "Greets."}]
    assert "command fake-greet" in rslcore("list-plugins")[1]


def test_a_mistake_in_a_command_of_a_plugin_is_one_message(tools, rslcore):
    assert rslcore("fake-greet", "nobody") == (2, "", "error: there is nobody to greet; name someone\n")


def test_a_plugin_with_a_command_of_rslcores_own_is_listed_as_failed(install, rslcore, monkeypatch):
    registry = install("fake-command")
    monkeypatch.setattr(rslcore_cli, "default_registry", lambda: registry)
    code, out, _ = rslcore("list-plugins", "--strict")
    cause = "command 'train' is one of rslcore's own; give it another name"
    assert code == 2
    assert re.search(rf"^fake_command +fake-command +1\.0 +failed +{cause}$", out, re.MULTILINE)
    code, out, _ = rslcore("check-plugin", "fake-command")
    assert code == 2
    assert f"MEND         plugin fake_command: It does not load: {cause}\n" in out
    assert "Train a recipe or a config file." in rslcore("--help")[1]


def test_a_command_of_two_plugins_is_called_with_its_distribution(install, rslcore, monkeypatch, tmp_path):
    (tmp_path / "other_tools.py").write_text(
        "from rslcore.registry import hookimpl\nPLUGIN_API = 1\n@hookimpl\ndef rslcore_register(registry):\n"
        '    registry.add_command("fake-greet", target="fake_tools.commands:greet", summary="Greets too.")\n'
    )
    info = tmp_path / "other_tools-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-tools\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rslcore]\nother_tools = other_tools\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = install("fake-tools")
    monkeypatch.setattr(rslcore_cli, "default_registry", lambda: registry)
    message = (
        "error: command 'fake-greet' is offered by several distributions; write one of 'fake-tools/fake-greet', "
        "'other-tools/fake-greet'\n"
    )
    assert rslcore("fake-greet", "robot") == (2, "", message)
    assert rslcore("other-tools/fake-greet", "robot") == (0, "hello robot\n", "")


def test_an_unknown_command_gives_the_nearest_of_plugins_too(tools, rslcore):
    code, _, err = rslcore("fake-gret")
    assert code == 2
    assert "there is no command 'fake-gret'; did you mean 'fake-greet'? (commands: list-plugins, describe, " in err


def test_a_computed_recipe_knows_the_overrides(tools, rslcore):
    code, out, _ = rslcore("describe", "recipe", "fake_sized")
    assert code == 0
    assert "hidden_dims:\n      - 8\n" in out


def test_a_computed_recipe_that_fails_is_told_of_with_its_traceback(tools, rslcore):
    code, _, err = rslcore("train", "fake_broken")
    assert code == 2
    assert err.startswith("Traceback")
    message = "error: recipe 'fake_broken' of fake-tools 1.0 failed when it was computed: KeyError: 'missing'"
    assert err.splitlines()[-1] == message
