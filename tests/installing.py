"""Distributions that are installed without pip: metadata as an installer makes them of a pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path


def install_source(project: Path, site: Path) -> list[Path]:
    """Write a distribution's metadata into a folder; the paths that Python must look in for it.

    Args:
        project: Its folder, with a pyproject.toml and packages.
        site: Where the metadata goes; several distributions may share it.
    """
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    info = site / f"{metadata['name'].replace('-', '_')}-{metadata['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {metadata['name']}\nVersion: {metadata['version']}\n"
        + "".join(f"Requires-Dist: {requirement}\n" for requirement in metadata["dependencies"])
        + f"Description-Content-Type: text/markdown\n\n{(project / 'README.md').read_text()}"
    )
    entry_points = metadata["entry-points"]["rslcore"].items()
    (info / "entry_points.txt").write_text("[rslcore]\n" + "".join(f"{k} = {v}\n" for k, v in entry_points))
    return [site, project]
