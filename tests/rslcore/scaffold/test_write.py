"""Files of new plugins."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from rslcore.errors import ScaffoldError
from rslcore.registry import KINDS
from rslcore.scaffold import PluginNames, write_plugin

SHORTEST, LONGEST = "x", "a-name-of-forty-letters-that-is-very-lon"


def test_tree_is_a_whole_distribution(tmp_path):
    folder = write_plugin(PluginNames.parse("action-rate", "extension"), tmp_path / "new")
    assert folder == tmp_path / "new" / "rslcore-action-rate"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "rslcore_action_rate/__init__.py",
        "rslcore_action_rate/config.py",
        "rslcore_action_rate/extension.py",
        "rslcore_action_rate/plugin.py",
        "rslcore_action_rate/recipes/action_rate.yaml",
        "tests/test_action_rate.py",
    ]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "rslcore-action-rate"
    assert project["dependencies"] == ["rslcore>=0.1,<1"]
    assert project["entry-points"]["rslcore"] == {"action_rate": "rslcore_action_rate.plugin"}
    assert list((tmp_path / "new").iterdir()) == [folder]


def test_folder_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "rslcore-mine").mkdir()
    (tmp_path / "rslcore-mine" / "precious").touch()
    message = f"'{tmp_path}/rslcore-mine' is there already; choose another name, or another folder with --output"
    with pytest.raises(ScaffoldError, match=f"^{re.escape(message)}$"):
        write_plugin(PluginNames.parse("mine", "env"), tmp_path)
    assert [path.name for path in (tmp_path / "rslcore-mine").iterdir()] == ["precious"]


def test_writing_that_fails_leaves_nothing(tmp_path, monkeypatch):
    write_text = Path.write_text

    def fail(path, *arguments, **kwargs):
        if path.name == "plugin.py":
            raise OSError(28, "No space left on device")
        return write_text(path, *arguments, **kwargs)

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(ScaffoldError, match="rslcore-mine' cannot be written: .*No space left on device"):
        write_plugin(PluginNames.parse("mine", "env"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_output_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ScaffoldError, match="cannot be written"):
        write_plugin(PluginNames.parse("mine", "env"), tmp_path / "file")


@pytest.mark.parametrize("name", [SHORTEST, LONGEST])
def test_code_is_clean_for_any_length_of_name(name, tmp_path):
    ruff = shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for kind in KINDS:
        write_plugin(PluginNames.parse(name, kind), tmp_path / kind)
    for arguments in (["check"], ["format", "--diff"]):
        result = subprocess.run([ruff, *arguments, "--no-cache", tmp_path], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_of_a_template_is_left(kind, tmp_path):
    folder = write_plugin(PluginNames.parse("mine", kind), tmp_path)
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert not [text for text in texts if re.search(r"\$\w|PACKAGE", text)]
