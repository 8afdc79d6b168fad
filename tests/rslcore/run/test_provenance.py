"""What a run was made with is recorded, component by component."""

from __future__ import annotations

import platform

import attrs
import pytest
import torch
import yaml

from rslcore import __version__
from rslcore.config import NetworkComponent, evolve
from rslcore.errors import ConfigError
from rslcore.registry import Source, default_registry
from rslcore.run.provenance import Provenance, UsedPlugin, continued, dump_history, used_plugins

LINEAR = "policy.actor.network={name: fake_linear}"


@pytest.fixture
def made_with(install):
    """Of a run whose actor comes from fake-good."""
    from rslcore.config import load_config

    registry = install("fake-good")
    return Provenance.of(load_config("cartpole", [LINEAR, "loggers=[]"], registry), registry)


def test_provenance_says_which_component_came_from_where(made_with):
    found = {plugin.source.plugin: plugin for plugin in made_with.plugins}
    assert found["fake_good"] == UsedPlugin(
        Source("fake_good", "fake-good", "1.0", "fake_good.plugin"), (("network", "fake_linear"),)
    )
    assert found["networks"].components == (("network", "mlp"),)
    assert set(found) == {
        "actor_critic", "distributions", "fake_good", "gymnasium", "networks", "ppo", "rollout", "runners"
    }  # fmt: skip


def test_provenance_round_trip(made_with):
    assert Provenance.from_dict(made_with.to_dict()) == made_with


def test_provenance_as_yaml_reads_well(made_with):
    (fake,) = [plugin for plugin in made_with.plugins if plugin.source.plugin == "fake_good"]
    text = dump_history([attrs.evolve(made_with, plugins=(fake,))])
    assert text.splitlines() == [
        "# What this run was made with, from which iteration on. Written by rslcore; its checkpoints hold the same.",
        "- since_iteration: 0",
        f"  python: {platform.python_version()}",
        f"  torch: {torch.__version__}",
        f"  rslcore: {__version__}",
        "  components:",
        "    network fake_linear: {plugin: fake_good, distribution: fake-good, version: '1.0', "
        "module: fake_good.plugin}",
    ]
    assert yaml.safe_load(text)[0]["components"]["network fake_linear"] == attrs.asdict(fake.source)


def test_continued_adds_what_is_new_only(made_with):
    same = attrs.evolve(made_with, since_iteration=7)
    assert continued([made_with], same) == (made_with,)
    other = attrs.evolve(same, versions={**same.versions, "torch": "1.0"})
    assert continued([made_with], other) == (made_with, other)


def test_among_keeps_what_a_config_names(made_with, small_config):
    kept = made_with.among(small_config())
    assert "fake_good" not in {plugin.source.plugin for plugin in kept.plugins}
    assert {plugin.source.plugin for plugin in kept.plugins} >= {"networks", "ppo"}


def test_used_plugins_of_a_config_that_names_what_is_not_installed(small_config):
    config = small_config()
    config = evolve(config, loggers=(NetworkComponent("nothing", None),))
    with pytest.raises(ConfigError, match="^there is no network 'nothing' "):
        used_plugins(config, default_registry())
