"""A new plugin of each kind works as it is written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from installing import install_source

from rslcore.checking import check_distribution
from rslcore.registry import KINDS, Registry
from rslcore.scaffold import PluginNames, write_plugin


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A plugin of each kind, and the paths on which they are installed."""
    root = tmp_path_factory.mktemp("plugins")
    folders = [write_plugin(PluginNames.parse(f"new-{kind}", kind), root) for kind in KINDS]
    paths = [path for folder in folders for path in install_source(folder, root / "site")]
    return folders, list(dict.fromkeys(map(str, paths)))


def test_plugins_are_listed_with_component_and_recipe(plugins, monkeypatch):
    for path in plugins[1]:
        monkeypatch.syspath_prepend(path)
    rows = [row for row in Registry.discover().plugins if row.source.distribution.startswith("rslcore-new-")]
    assert {row.source.plugin: row.cause for row in rows} == {f"new_{kind}": "" for kind in KINDS}
    assert {(entry.kind, entry.name) for row in rows for entry in row.entries} == {
        (kind, f"new-{kind}") for kind in KINDS
    }
    assert {recipe.name for row in rows for recipe in row.recipes} == {f"new-{kind}" for kind in KINDS}


def test_plugins_have_nothing_to_mend(plugins, monkeypatch):
    for path in plugins[1]:
        monkeypatch.syspath_prepend(path)
    registry = Registry.discover()
    lines = [line for kind in KINDS for line in check_distribution(registry, f"rslcore-new-{kind}")]
    assert [line for line in lines if line.status != "ok"] == []
    assert sum("keeps the contract of its kind" in line.text for line in lines) == len(KINDS)


def test_plugins_pass_their_own_tests(plugins):
    """Among them, two iterations of each recipe by name."""
    folders, paths = plugins
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *sys.path])}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *map(str, folders)]
    result = subprocess.run(command, env=environment, cwd=folders[0], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-5000:]
