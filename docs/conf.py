"""Sphinx configuration. Build with `sphinx-build -W -b html docs docs/_build/html`."""

import re
from pathlib import Path

project = "rslcore"
author = "the rslcore authors"
copyright = author
# Read, not imported, so that building the docs needs neither rslcore nor torch.
_source = (Path(__file__).parent.parent / "rslcore" / "__init__.py").read_text(encoding="utf-8")
version = release = re.search(r'__version__ = "(.+)"', _source)[1]

extensions = ["myst_parser"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "examples"]

html_theme = "furo"
html_title = f"rslcore {release}"
html_static_path = ["_static"]
