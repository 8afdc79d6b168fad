"""The project's own files agree with its folders."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "plugin.py").is_file())


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugin_is_in_the_wheel_the_entry_points_and_the_checks(plugin):
    tool = PYPROJECT["tool"]
    assert f"plugins/{plugin}" in tool["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert PYPROJECT["project"]["entry-points"]["rslcore"][plugin.removeprefix("rslcore_")] == f"{plugin}.plugin"
    assert plugin in tool["mypy"]["packages"]
    forbidden, independent, _ = tool["importlinter"]["contracts"]
    assert plugin in tool["importlinter"]["root_packages"]
    assert plugin in forbidden["forbidden_modules"]
    assert plugin in independent["modules"]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugin_has_the_skeleton(plugin):
    folder = ROOT / "plugins" / plugin
    has_components = "config=" in (folder / "plugin.py").read_text()  # or recipes alone
    skeleton = {"__init__.py", "plugin.py", "README.md"} | ({"config.py"} if has_components else set())
    assert skeleton <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("constraints", ["constraints.txt", "constraints-mjlab.txt"])
def test_tested_versions_are_pinned(constraints):
    lines = (ROOT / constraints).read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    names = {name.lower().replace("_", "-") for name in pins}
    extra = PYPROJECT["project"]["optional-dependencies"]["mjlab"] if "mjlab" in constraints else []
    for requirement in [*PYPROJECT["project"]["dependencies"], *extra]:
        assert requirement.partition(">")[0].lower() in names


def test_nothing_that_is_read_from_a_file_is_executed():
    """torch.load and numpy.load say so; ruff sees to pickle, marshal and YAML."""
    safe = {"torch": ("weights_only", True), "numpy": ("allow_pickle", False)}
    calls = []
    for folder in ("rslcore", "plugins", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "numpy.load"):
                    name, value = safe[ast.unparse(node.func).partition(".")[0]]
                    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                    assert given.get(name) == str(value), f"{path}:{node.lineno}"
                    calls.append(path.name)
    assert "payload.py" in calls
    assert "motions.py" in calls
