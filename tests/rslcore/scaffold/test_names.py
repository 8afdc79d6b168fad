"""Names of new plugins."""

from __future__ import annotations

import re

import pytest

from rslcore.errors import ScaffoldError, UnknownNameError
from rslcore.registry import KINDS, Registry
from rslcore.scaffold import PluginNames, check_names_are_free


def test_names_all_follow_from_one_word():
    names = PluginNames.parse("action-rate", "extension")
    assert names.identifier == "action_rate"
    assert names.distribution == "rslcore-action-rate"
    assert names.package == "rslcore_action_rate"
    assert names.config_class == "ActionRateConfig"
    assert names.component_class == "ActionRateExtension"
    assert PluginNames.parse("point_env2", "env").distribution == "rslcore-point-env2"


@pytest.mark.parametrize(
    ("name", "kind", "component_class"),
    [("my-env", "env", "MyEnv"), ("env", "env", "EnvEnv"), ("my-env", "network", "MyEnvNetwork")],
)
def test_class_ends_with_the_kind_once(name, kind, component_class):
    assert PluginNames.parse(name, kind).component_class == component_class


RULE = "a name is lower-case letters and digits, after a letter, in words joined by '-' or '_'"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Action-Rate", f"'Action-Rate' cannot name a plugin: {RULE}; did you mean 'action-rate'?"),
        ("action rate", f"'action rate' cannot name a plugin: {RULE}; did you mean 'action-rate'?"),
        ("../evil", f"'../evil' cannot name a plugin: {RULE}; did you mean 'evil'?"),
        ("action--rate", f"'action--rate' cannot name a plugin: {RULE}; did you mean 'action-rate'?"),
        ("2fast", f"'2fast' cannot name a plugin: {RULE}; did you mean 'fast'?"),
        ("", f"'' cannot name a plugin: {RULE}; did you mean 'my-plugin'?"),
        ("rslcore-action-rate", "'rslcore-action-rate': the 'rslcore-' is put before it; write 'action-rate'"),
        ("a" * 41, f"'{'a' * 41}' has 41 letters; a name has 40 at the most"),
    ],
)
def test_bad_name_is_refused_with_the_one_that_was_meant(name, message):
    with pytest.raises(ScaffoldError, match=f"^{re.escape(message)}$"):
        PluginNames.parse(name, "extension")


def test_unknown_kind_is_refused_with_the_nearest_one():
    kinds = ", ".join(f"'{kind}'" for kind in sorted(KINDS))
    message = f"there is no kind 'extention'; did you mean 'extension'? (kinds: {kinds})"
    with pytest.raises(UnknownNameError, match=f"^{re.escape(message)}$"):
        PluginNames.parse("mine", "extention")


@pytest.mark.parametrize(
    ("name", "kind", "owner"),
    [
        ("gaussian", "distribution", "the distribution 'gaussian' of rslcore 0.1.0"),
        ("cartpole", "extension", "the recipe 'cartpole' of rslcore 0.1.0"),
        ("rollout", "extension", "the package 'rslcore_rollout'"),
        ("fake_linear", "network", "the network 'fake_linear' of fake-good 1.0"),
    ],
)
def test_name_that_something_installed_has_is_refused(name, kind, owner, install):
    registry = install("fake-good")
    message = f"'{name}' is taken: there is {owner} already; choose another name"
    with pytest.raises(ScaffoldError, match=f"^{re.escape(message)}$"):
        check_names_are_free(PluginNames.parse(name, kind), registry)


def test_name_of_another_kind_is_free(install):
    check_names_are_free(PluginNames.parse("fake_linear", "extension"), install("fake-good"))
    check_names_are_free(PluginNames.parse("mine", "extension"), Registry([], None))
