"""What keeps a run from being loaded is told with what to do about it."""

from __future__ import annotations

import logging

import attrs
import pytest

from rslcore import __version__
from rslcore.errors import CheckpointError
from rslcore.registry import PluginRow, Registry, Source
from rslcore.run.compatibility import check_plugins, find_problems
from rslcore.run.provenance import Provenance, UsedPlugin

GOOD = UsedPlugin(Source("fake_good", "fake-good", "1.0", "fake_good.plugin"), (("network", "fake_linear"),))
RAISES = UsedPlugin(Source("fake_raises", "fake-raises", "1.0", "fake_raises"), (("extension", "x"), ("logger", "y")))


def made_with(*plugins, version=None):
    """What was used, the first plugin in another version."""
    if version is not None:
        plugins = (attrs.evolve(plugins[0], source=attrs.evolve(plugins[0].source, version=version)), *plugins[1:])
    return Provenance(0, {"rslcore": __version__}, plugins)


def test_same_plugins_have_no_problems(install, caplog):
    check_plugins(made_with(GOOD), install("fake-good"), "the run")
    assert caplog.records == []


def test_plugin_that_is_not_installed(install):
    assert find_problems(made_with(GOOD), install()) == [
        "network 'fake_linear' came from fake-good 1.0, which is not installed; type `pip install 'fake-good==1.0'`"
    ]


def test_plugin_that_is_not_installed_is_not_mixed_up_with_a_rival(install):
    assert find_problems(made_with(GOOD), install("fake-rival")) == [
        "network 'fake_linear' came from fake-good 1.0, which is not installed (what 'fake-rival 2.0' offers under "
        "that name is something else); type `pip install 'fake-good==1.0'`"
    ]


def test_plugin_with_a_rival_that_was_not_there(install):
    assert find_problems(made_with(GOOD), install("fake-good", "fake-rival")) == [
        "network 'fake_linear' came from fake-good 1.0, and fake-rival 2.0 offers that name too; leave it out with "
        "`--no-plugin fake_rival`"
    ]
    full = attrs.evolve(GOOD, components=(("network", "fake-good/fake_linear"),))
    assert find_problems(made_with(full), install("fake-good", "fake-rival")) == []


def test_plugin_with_a_rival_of_the_same_name_is_told_the_distribution(install):
    registry = install("fake-good")
    rival = Source("fake_good", "fake-twin", "2.0", "fake_twin.plugin")
    row = PluginRow(rival, "ok", "", (attrs.evolve(registry.find("network", "fake_linear"), source=rival),))
    assert find_problems(made_with(GOOD), Registry([*registry.plugins, row])) == [
        "network 'fake_linear' came from fake-good 1.0, and fake-twin 2.0 offers that name too; leave it out with "
        "`--no-plugin fake-twin`"
    ]


def test_plugin_that_is_older(install):
    assert find_problems(made_with(GOOD, version="1.2"), install("fake-good")) == [
        "network 'fake_linear' came from fake-good 1.2, and 1.0 is installed; type `pip install 'fake-good>=1.2'`"
    ]


def test_plugin_that_is_newer_is_noted_once(install, caplog):
    with caplog.at_level(logging.WARNING):
        check_plugins(made_with(GOOD, version="0.9"), install("fake-good"), "the run")
    assert caplog.messages == ["the run was made with fake-good 0.9 (now 1.0)"]


def test_plugin_whose_version_has_no_order_is_let_through(install):
    assert find_problems(made_with(GOOD, version="of yesterday"), install("fake-good")) == []


def test_plugin_that_is_disabled_by_an_option(install):
    assert find_problems(made_with(GOOD), install("fake-good", disabled=("fake-good",))) == [
        "network 'fake_linear' came from plugin 'fake_good' of fake-good 1.0, which is left out by "
        "`--no-plugin fake-good`; take that away"
    ]


def test_plugin_that_is_disabled_by_the_environment(install, monkeypatch):
    monkeypatch.setenv("RSLCORE_DISABLED_PLUGINS", "fake_good,rnd")
    assert find_problems(made_with(GOOD), install("fake-good")) == [
        "network 'fake_linear' came from plugin 'fake_good' of fake-good 1.0, which is left out by "
        "`RSLCORE_DISABLED_PLUGINS=fake_good`; take that away"
    ]


def test_plugin_that_fails_to_load_says_why(install):
    registry = install("fake-raises")
    words = "extension 'x', logger 'y' came from plugin 'fake_raises' of fake-raises"
    assert find_problems(made_with(RAISES), registry) == [
        f"{words} 1.0, which failed to load: RuntimeError: no licence found"
    ]
    assert find_problems(made_with(RAISES, version="0.9"), registry) == [
        f"{words} 0.9, which failed to load: RuntimeError: no licence found; type `pip install 'fake-raises==0.9'`"
    ]


def test_component_that_a_plugin_has_no_more(install):
    gone = attrs.evolve(GOOD, components=(("network", "fake_cubic"),))
    assert find_problems(made_with(gone, version="0.9"), install("fake-good")) == [
        "network 'fake_cubic' came from fake-good 0.9, and 1.0 has none; type `pip install 'fake-good==0.9'`"
    ]


def test_rslcore_that_is_older(install):
    assert find_problems(Provenance(0, {"rslcore": "9.0"}, ()), install()) == [
        f"it came from rslcore 9.0, and {__version__} is installed; type `pip install 'rslcore>=9.0'`"
    ]


def test_all_problems_are_told_at_once(install):
    registry = install("fake-raises", "fake-good", disabled=("fake_good",))
    with pytest.raises(CheckpointError) as caught:
        check_plugins(made_with(GOOD, RAISES, version="1.1"), registry, "'model_2.pt'")
    assert str(caught.value).splitlines() == [
        "'model_2.pt' does not go with the plugins that are here:",
        "  network 'fake_linear' came from fake-good 1.1, and 1.0 is installed; type `pip install 'fake-good>=1.1'`",
        "  network 'fake_linear' came from plugin 'fake_good' of fake-good 1.1, which is left out by "
        "`--no-plugin fake_good`; take that away",
        "  extension 'x', logger 'y' came from plugin 'fake_raises' of fake-raises 1.0, which failed to load: "
        "RuntimeError: no licence found",
    ]
