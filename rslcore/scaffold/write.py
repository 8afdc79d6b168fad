"""Writes the files of a new plugin from the templates.

A template is a file with `$words` of `string.Template`; those in `templates/common` are there for every kind, those in
`templates/<kind>` for one. `PACKAGE` and `NAME` in a path stand for the names of the plugin.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from string import Template

from rslcore import __version__
from rslcore.errors import ScaffoldError
from rslcore.registry.hookspec import PLUGIN_API
from rslcore.scaffold.kinds import SKELETONS
from rslcore.scaffold.names import PluginNames

TEMPLATES = Path(__file__).parent / "templates"
_SUFFIX = ".tmpl"


def write_plugin(names: PluginNames, folder: Path) -> Path:
    """Write a distribution, whole or not at all.

    Args:
        names: What its parts are called.
        folder: Where its own folder, `rslcore-<name>`, is made; it is made too if it is not there.

    Returns:
        Its own folder.

    Raises:
        ScaffoldError: There is such a folder already, or the files cannot be written.
    """
    target = folder / names.distribution
    if target.exists() or target.is_symlink():
        raise ScaffoldError(f"'{target}' is there already; choose another name, or another folder with --output")
    files = render(names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the whole tree appears at once, by one rename.
        with tempfile.TemporaryDirectory(prefix=f".{names.distribution}-", dir=folder) as staging:
            tree = Path(staging) / names.distribution
            for path, text in files.items():
                file = tree / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            tree.rename(target)
    except OSError as error:
        raise ScaffoldError(f"'{target}' cannot be written: {error}") from error
    return target


def render(names: PluginNames) -> dict[str, str]:
    """The text of every file, by its path in the distribution."""
    words = _words(names)
    files = {}
    for part in ("common", names.kind):
        root = TEMPLATES / part
        for template in sorted(root.rglob(f"*{_SUFFIX}")):
            path = template.relative_to(root).as_posix().removesuffix(_SUFFIX)
            path = path.replace("PACKAGE", names.package).replace("NAME", names.identifier)
            files[path] = Template(template.read_text(encoding="utf-8")).substitute(words)
    return files


def _words(names: PluginNames) -> dict[str, str]:
    """What the words of the templates stand for."""
    skeleton = SKELETONS[names.kind]
    major, minor = __version__.split(".")[:2]
    return {
        "name": names.name,
        "kind": names.kind,
        "identifier": names.identifier,
        "distribution": names.distribution,
        "package": names.package,
        "config_class": names.config_class,
        "component_class": names.component_class,
        "summary": skeleton.summary,
        "recipe_summary": skeleton.recipe_summary,
        "rslcore_requirement": f"rslcore>={major}.{minor},<{int(major) + 1}",
        "plugin_api": str(PLUGIN_API),
    }
