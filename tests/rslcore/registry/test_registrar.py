"""What a plugin may declare."""

from __future__ import annotations

import re

import pytest

from rslcore.errors import PluginError
from rslcore.registry import KINDS, Registrar, Source
from rslcore.registry.entries import COMMANDS


@pytest.fixture
def registrar():
    return Registrar(Source("mine", "my-dist", "1.0", "mine.plugin"))


@pytest.mark.parametrize("kind", KINDS)
def test_add_each_kind_records_the_source(registrar, kind):
    getattr(registrar, f"add_{kind}")("x", factory="json:loads", config="json:loads", summary="s")
    (entry,) = registrar.entries
    assert (entry.kind, entry.full_name, entry.source) == (kind, "my-dist/x", registrar.source)


@pytest.mark.parametrize("name", ["PPO", "1st", "a b", "a/b", ""])
def test_add_bad_name_is_refused(registrar, name):
    message = f"env '{name}': a name is lower-case letters, digits, '_' and '-', after a letter"
    with pytest.raises(PluginError, match=f"^{re.escape(message)}$"):
        registrar.add_env(name, factory="json:loads", config="json:loads", summary="")


@pytest.mark.parametrize("file", ["rslcore:nothing.yaml", "nothing.yaml", "no_such_package:x.yaml"])
def test_add_recipe_without_its_file_is_refused(registrar, file):
    message = f"recipe 'r': there is no file '{file}' (written as 'package:path.yaml')"
    with pytest.raises(PluginError, match=f"^{re.escape(message)}$"):
        registrar.add_recipe("r", file=file, summary="")


@pytest.mark.parametrize("given", [{}, {"file": "rslcore:x.yaml", "function": "json:loads"}])
def test_add_recipe_is_given_a_file_or_a_function(registrar, given):
    with pytest.raises(PluginError, match="^recipe 'r': give it a file or a function, one of the two$"):
        registrar.add_recipe("r", summary="", **given)


def test_add_recipe_and_command_without_their_target_is_refused(registrar):
    with pytest.raises(PluginError, match="^recipe 'r': the function 'json:load_it': module 'json' has no 'load_it'"):
        registrar.add_recipe("r", function="json:load_it", summary="")
    with pytest.raises(PluginError, match="^command 'c': the target 'nothing_here:x': there is no module 'nothing_her"):
        registrar.add_command("c", target="nothing_here:x", summary="")


def test_add_command_twice_is_refused(registrar):
    registrar.add_command("c", target="json:loads", summary="")
    with pytest.raises(PluginError, match="^command 'c' is declared twice$"):
        registrar.add_command("c", target="json:dumps", summary="")


@pytest.mark.parametrize("name", COMMANDS)
def test_add_command_of_rslcores_own_is_refused(registrar, name):
    with pytest.raises(PluginError, match=f"^command '{name}' is one of rslcore's own; give it another name$"):
        registrar.add_command(name, target="json:loads", summary="")
    assert registrar.commands == []
