"""Look-up by name: bare, qualified, ambiguous, unknown."""

from __future__ import annotations

import re

import pytest

from rslcore.errors import AmbiguousNameError, PluginError, PluginFaultError, UnknownNameError
from rslcore.registry import KINDS, Entry, PluginRow, Registry, Source

FAILED = "plugin fake-tools/fake_tools failed in rslcore_foreign_config"


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


def test_find_recipe_of_two_distributions_lists_both_spellings(install):
    registry = install("fake-good", "fake-rival")
    message = (
        "recipe 'fake_recipe' is offered by several distributions; "
        "write one of 'fake-good/fake_recipe', 'fake-rival/fake_recipe'"
    )
    with pytest.raises(AmbiguousNameError, match=f"^{re.escape(message)}$"):
        registry.find_recipe("fake_recipe")
    assert registry.find_recipe("fake-rival/fake_recipe").source.distribution == "fake-rival"


def test_find_unknown_name_gives_the_nearest_and_the_installed(install):
    message = "there is no algorithm 'pppo'; did you mean 'ppo'? (installed: 'distillation', 'fast_sac', 'ppo')"
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


@pytest.mark.parametrize("name", ["fake_raises", "fake-raises", "fake-raises/x"])
def test_find_unknown_name_of_a_failed_plugin_gives_its_cause(install, name):
    registry = install("fake-raises", "fake-import-error")
    with pytest.raises(UnknownNameError) as caught:
        registry.find("network", name)
    assert str(caught.value).partition("; ")[2].partition("; failed to load: ")[::2] == (
        "plugin 'fake_raises' of fake-raises 1.0 failed to load: RuntimeError: no licence found",
        "fake_import_error of fake-import-error (see `rslcore list-plugins`)",
    )


def test_find_unknown_name_of_a_failed_plugin_needs_no_prefix():
    source = Source("better_ppo", "rslcore-brk", "0.1", "brk")
    with pytest.raises(UnknownNameError) as caught:
        Registry([PluginRow(source, "failed", "SyntaxError: no")]).find_recipe("brk")
    assert str(caught.value) == (
        "there is no recipe 'brk' (installed: none); plugin 'better_ppo' of rslcore-brk 0.1 failed to load: "
        "SyntaxError: no"
    )


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


@pytest.mark.parametrize(
    ("name", "target", "fault"),
    [
        (
            "no_config_class",
            "Plain",
            "'Plain' is no config class; make it with the decorator `rslcore.config.config`",
        ),
        (
            "mutable",
            "Mutable",
            "field 'widths': a list can be changed after the config was read; write tuple[...]; "
            "field 'gains': a dict can be changed after the config was read; write Mapping[str, ...] (of "
            "collections.abc); "
            "field 'sizes': the default [64, 64] can be changed, for all configs at once; write (64, 64); "
            "field 'inner.names': a list can be changed after the config was read; write tuple[...]; "
            "field 'plain': 'PlainInner' is no config class; make it with the decorator `rslcore.config.config`; "
            "field 'lazy': the default is a Factory; give a plain value, a tuple or a config; "
            "field 'file': a config cannot hold the type Path; write bool, int, float, str, Literal, tuple[...], "
            "Mapping[str, ...], a component or a config class; "
            "field 'untyped': it has no type; annotate it with bool, int, float, str, Literal, tuple[...], "
            "Mapping[str, ...], a component or a config class",
        ),
        (
            "torch_fields",
            "TorchFields",
            "field 'mean': torch.Tensor is nothing that a file can hold; keep numbers and names here, and make the "
            "object in the factory; field 'layers': torch.nn.modules.module.Module is nothing that a file can hold; "
            "keep numbers and names here, and make the object in the factory",
        ),
        ("unreadable", "Unreadable", "its annotations cannot be read: NameError: name 'ndarray' is not defined"),
    ],
)
def test_config_class_at_fault_names_every_field(install, name, target, fault):
    message = f"network '{name}' of fake-faulty 1.0: its config 'fake_faulty.config:{target}' is at fault: {fault}"
    with pytest.raises(PluginError, match=f"^{re.escape(message)}$"):
        install("fake-faulty").config_class("network", name)


def test_config_module_whose_code_raises_is_named(install):
    message = (
        "network 'broken_module' of fake-faulty 1.0: 'fake_faulty.broken:Config' does not import: "
        "NameError: name 'undefined_name' is not defined"
    )
    with pytest.raises(PluginFaultError, match=f"^{re.escape(message)}$") as caught:
        install("fake-faulty").config_class("network", "broken_module")
    assert isinstance(caught.value.__cause__, NameError)


@pytest.mark.parametrize("kind", KINDS)
def test_built_in_factories_and_configs_import(install, kind):
    registry = install()
    for entry in registry.entries(kind):
        assert callable(registry.factory(kind, entry.full_name))
        assert registry.config_class(kind, entry.full_name).__doc__


def test_told_of_foreign_config_is_what_the_plugin_says_that_knows_it(install, tmp_path):
    registry = install("fake-tools")
    (tmp_path / "other.yaml").write_text("fake_version: 1\n")
    (tmp_path / "mine.yaml").write_text("seed: 1\n")
    told = f"'{tmp_path}/other.yaml' is a config of fake; type `rslcore fake-greet robot`"
    assert registry.told_of_foreign_config(tmp_path / "other.yaml") == told
    assert registry.told_of_foreign_config(tmp_path / "mine.yaml") is None
    assert install(disabled=("fake_tools",)).told_of_foreign_config(tmp_path / "other.yaml") is None


def test_told_of_foreign_config_by_a_plugin_that_fails_is_a_warning(install, tmp_path, caplog):
    (tmp_path / "other.yaml").write_text("fake_version: 2\n")
    assert install("fake-tools").told_of_foreign_config(tmp_path / "other.yaml") is None
    assert caplog.messages == [f"{FAILED}: KeyError: 'fake'"]


def test_told_of_foreign_config_by_one_plugin_when_another_fails(install, tmp_path, caplog):
    manager = (registry := install("fake-tools")).manager
    manager.register(manager.unregister(name="rslcore/rsl_rl"), "rslcore/rsl_rl")  # so that it is asked last
    file, agent = tmp_path / "agent.yaml", "num_steps_per_env: 24\nalgorithm: {class_name: PPO}\n"
    file.write_text(f"{agent}fake_version: 2\n")
    told = registry.told_of_foreign_config(file)
    assert str(told).startswith(f"'{file}' looks like a config of rsl_rl; ")
    assert caplog.messages == [f"{FAILED}: KeyError: 'fake'"]
    caplog.clear()
    file.write_text(f"{agent}fake_version: 3\n")  # of which it returns what is no sentence
    assert (registry.told_of_foreign_config(file), caplog.messages) == (told, [])
