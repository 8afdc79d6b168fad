"""Every way in which a plugin can be broken is a row with its cause, and costs only that plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from rslcore import __version__
from rslcore.errors import UnknownNameError

DISTRIBUTIONS = Path(__file__).parents[2] / "data" / "distributions"


def row(registry, plugin):
    return next(row for row in registry.plugins if row.source.plugin == plugin)


def test_load_good_plugin_is_listed_with_its_source(install):
    loaded = row(install("fake-good"), "fake_good")
    assert loaded.status == "ok"
    assert str(loaded.source) == "fake-good 1.0"
    assert loaded.source.module == "fake_good.plugin"
    assert [(entry.kind, entry.name) for entry in loaded.entries] == [("network", "fake_linear")]


@pytest.mark.parametrize(
    ("distribution", "cause"),
    [
        ("fake-import-error", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("fake-raises", "RuntimeError: no licence found"),
        ("fake-exits", "SystemExit: needs a display"),
        ("fake-newer-api", "it was written for plugin API 2, this rslcore has 1: upgrade rslcore"),
        ("fake-no-api", "module 'fake_no_api' does not state its API; add `PLUGIN_API = 1`"),
        ("fake-misspelled", "there is no hook 'rslcore_registr'; did you mean 'rslcore_register'?"),
        (
            "fake-bad-target",
            "network 'bad': the factory 'fake_bad_target.network:Misspelt': module 'fake_bad_target.network' has no "
            "'Misspelt'; did you mean 'Misspelled'?",
        ),
        ("fake-duplicate", "network 'twin' is declared twice"),
        ("fake-command", "command 'train' is one of rslcore's own; give it another name"),
        (
            "fake-no-config",
            "network 'bare': missing a required argument: 'config'; `add_network` takes name, factory, config, summary",
        ),
        (
            "fake-class-target",
            "network 'imported': the factory <class 'fake_class_target.Imported'> should be a string "
            "'module:attribute', so that listing imports nothing",
        ),
        ("fake-too-new", f"it requires rslcore>=99, but rslcore {__version__} is installed"),
    ],
)
def test_load_broken_plugin_fails_alone_with_its_cause(install, distribution, cause):
    registry = install(distribution, "fake-good")
    broken = row(registry, distribution.replace("-", "_"))
    assert (broken.status, broken.cause) == ("failed", cause)
    assert broken.entries == ()
    assert row(registry, "fake_good").status == "ok"
    assert row(registry, "ppo").status == "ok"
    assert not registry.manager.has_plugin(f"{distribution}/{distribution.replace('-', '_')}")


@pytest.mark.parametrize("name", ["fake_exits", "fake-exits"])
def test_load_disabled_plugin_is_not_imported(install, name):
    disabled = row(install("fake-exits", disabled=(name,)), "fake_exits")
    assert (disabled.status, disabled.cause) == ("disabled", f"left out by `--no-plugin {name}`")


def test_discover_unknown_plugin_to_leave_out_gives_the_nearest(install):
    with pytest.raises(
        UnknownNameError, match=r"^there is no plugin 'netwrks' to leave out; did you mean 'networks'\?$"
    ):
        install(disabled=("netwrks",))


def test_load_reads_disabled_plugins_from_the_environment(install, monkeypatch):
    monkeypatch.setenv("RSLCORE_DISABLED_PLUGINS", "fake_exits, fake_good")
    registry = install("fake-exits", "fake-good")
    assert {row(registry, name).status for name in ("fake_exits", "fake_good")} == {"disabled"}
    assert row(registry, "fake_good").cause == "left out by `RSLCORE_DISABLED_PLUGINS=fake_good`"


def test_load_duplicate_across_plugins_of_one_distribution_fails_the_second(install, tmp_path, monkeypatch):
    source = "from rslcore.registry import hookimpl\nPLUGIN_API = 1\n@hookimpl\ndef rslcore_register(registry):\n"
    source += '    registry.add_network("same", factory="twice_a:X", config="twice_a:X", summary="")\nX = 1\n'
    (tmp_path / "twice_a.py").write_text(source)
    (tmp_path / "twice_b.py").write_text(source)
    info = tmp_path / "twice-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: twice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rslcore]\ntwice_a = twice_a\ntwice_b = twice_b\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = install()
    assert row(registry, "twice_a").status == "ok"
    assert row(registry, "twice_b").cause == "network 'same' is already declared by plugin 'twice_a' of twice"


def test_load_two_distributions_with_one_module_fails_the_second(install):
    registry = install("fake-good", "fake-fork")
    assert row(registry, "fake_fork").status == "ok"
    cause = "module 'fake_good.plugin' is that of 'fake-fork/fake_fork' too; one of the two has to go"
    assert (row(registry, "fake_good").status, row(registry, "fake_good").cause) == ("failed", cause)


def test_load_two_distributions_with_one_plugin_name_loads_both(install, tmp_path, monkeypatch):
    info = tmp_path / "namesake-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: namesake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rslcore]\nfake_good = fake_rival.plugin\n")
    monkeypatch.syspath_prepend(str(DISTRIBUTIONS / "fake-rival"))
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = [row for row in install("fake-good", disabled=("fake_rival",)).plugins if row.source.plugin == "fake_good"]
    assert [(row.source.distribution, row.status) for row in rows] == [("fake-good", "ok"), ("namesake", "ok")]


def test_built_in_plugins_all_load(install):
    ours = [row for row in install().plugins if row.source.distribution == "rslcore"]
    assert {row.source.plugin for row in ours} == {
        "actor_critic",
        "amp",
        "distillation",
        "distributions",
        "estimator",
        "fast_sac",
        "genesis",
        "gymnasium",
        "isaaclab",
        "loggers",
        "mjlab",
        "multi_discrete",
        "networks",
        "playground",
        "ppo",
        "replay",
        "rnd",
        "rollout",
        "rsl_rl",
        "runners",
        "student_teacher",
        "symmetry",
    }
    assert [row.cause for row in ours] == [""] * len(ours)


def test_load_damaged_metadata_of_a_distribution_is_a_row(install):
    registry = install("fake-damaged", "fake-good")
    (damaged,) = [row for row in registry.plugins if row.source.plugin == "?"]
    assert damaged.status == "failed"
    assert damaged.source.distribution.endswith("fake_damaged-1.0.dist-info")
    assert damaged.cause.startswith("its metadata cannot be read: ")
    assert row(registry, "fake_good").status == "ok"
