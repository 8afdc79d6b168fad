"""The reference names all that the built-in plugins take from the core, so that others can be written on the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported_from_core(source):
    """`module.name` of each name that a module imports from the core, and `module` of each that it imports whole."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "rslcore":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "rslcore")


def named_in(page):
    """Names that a page writes as code; those behind a comma are of the module that was named last in the line."""
    for line in page.splitlines():
        module = ""
        for name in re.findall(r"`([\w.]+)`", line):
            if name.startswith("rslcore."):
                module = name.rpartition(".")[0]
            yield name if name.startswith("rslcore.") else f"{module}.{name}"


def missing_names(sources, page):
    """What modules import from the core and the page does not name, sorted.

    A name may stand there by the module that it is imported from, or by `rslcore` itself where both have it.
    """
    named = set(named_in(page))
    short = {name.rpartition(".")[2] for name in named if name.count(".") == 1}
    imported = {name for source in sources for name in imported_from_core(source)}
    return sorted(name for name in imported - named if name.rpartition(".")[2] not in short)


def test_reference_names_all_that_plugins_import():
    sources = [path.read_text() for path in sorted((ROOT / "plugins").rglob("*.py"))]
    missing = missing_names(sources, (ROOT / "docs" / "reference.md").read_text())
    assert not missing, f"plugins import what docs/reference.md does not name: {', '.join(missing)}"


def test_missing_names_of_a_page():
    page = "| `rslcore.errors.nearest`, `listed` | Words. |\n| `rslcore.Batch` | Rows. |"
    source = """
import rslcore.optim
from rslcore.batch import Batch
from rslcore.errors import ConfigError, listed, nearest
from rslcore_ppo.losses import value_loss
"""
    assert missing_names([source], page) == ["rslcore.errors.ConfigError", "rslcore.optim"]
