"""Look-up by name: bare, qualified, ambiguous, unknown."""

from __future__ import annotations

import re

import pytest

from rslcore.errors import AmbiguousNameError, PluginError, UnknownNameError
from rslcore.registry import KINDS, Entry, PluginRow, Registry, Source


def test_find_bare_and_qualified_name_give_the_same_entry(install):
    registry = install("fake-good")
    assert registry.find("network", "fake_linear") is registry.find("network", "fake-good/fake_linear")


def test_find_name_of_two_distributions_lists_both_spellings(install):
    registry = install("fake-good", "fake-rival")
    message = (
        "network 'fake_linear' is offered by several distributions; "
        "write one of 'fake-good/fake_linear', 'fake-rival/fake_linear'"
    )
    with pytest.raises(AmbiguousNameError, match=f"^{re.escape(message)}$"):
        registry.find("network", "fake_linear")
    assert registry.find("network", "fake-rival/fake_linear").source.version == "2.0"


def test_find_unknown_name_gives_the_nearest_and_the_installed(install):
    message = "there is no algorithm 'pppo'; did you mean 'ppo'? (installed: 'distillation', 'ppo')"
    with pytest.raises(UnknownNameError, match=f"^{re.escape(message)}$"):
        install().find("algorithm", "pppo")


def test_find_unknown_name_names_plugins_that_failed_or_are_disabled(install):
    registry = install("fake-raises", "fake-good", disabled=("fake_good",))
    message = (
        "there is no network 'fake_linear' (installed: 'cnn', 'gru', 'lstm', 'mlp'); failed to load: "
        "fake_raises of fake-raises (see `rslcore list-plugins`); disabled: fake_good"
    )
    with pytest.raises(UnknownNameError, match=f"^{re.escape(message)}$"):
        registry.find("network", "fake_linear")


def test_entries_unknown_kind_gives_the_nearest(install):
    with pytest.raises(UnknownNameError, match=r"^there is no kind 'algoritm'; did you mean 'algorithm'\? \(kinds: "):
        install().entries("algoritm")


def test_factory_that_does_not_import_names_component_and_source():
    source = Source("broken", "broken-dist", "3.1", "broken.plugin")
    entry = Entry("network", "broken", "json:nothing_here", "json:nothing_here", "", source)
    registry = Registry([PluginRow(source, "ok", "", (entry,))])
    message = "network 'broken' of broken-dist 3.1: 'json:nothing_here': module 'json' has no 'nothing_here'"
    with pytest.raises(PluginError, match=f"^{re.escape(message)}"):
        registry.factory("network", "broken")


def test_every_kind_has_a_protocol():
    import rslcore.protocols

    assert all(hasattr(rslcore.protocols, kind.protocol) for kind in KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_built_in_factories_and_configs_import(install, kind):
    registry = install()
    for entry in registry.entries(kind):
        assert callable(registry.factory(kind, entry.full_name))
        assert registry.config_class(kind, entry.full_name).__doc__
