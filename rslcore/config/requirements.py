"""`plugins.require`: which distributions a run needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from rslcore.errors import Problem

if TYPE_CHECKING:
    from rslcore.registry import Registry


def missing_requirements(requirements: Iterable[str], registry: Registry) -> list[Problem]:
    """What is wrong with the requirements of a config.

    A distribution may be missing or of another version, none of its plugins may be usable, or a text is no requirement.
    """
    found = ((index, _fault(text, registry)) for index, text in enumerate(requirements))
    return [Problem(f"plugins.require[{index}]", fault) for index, fault in found if fault]


def required_problems(data: Any, registry: Registry) -> list[Problem]:
    """The same for a config that is still plain data, so that it can be told before a name is looked up.

    Whether the key is a list of strings is left to structuring.
    """
    plugins = data.get("plugins") if isinstance(data, Mapping) else None
    require = plugins.get("require") if isinstance(plugins, Mapping) else None
    is_list = isinstance(require, list) and all(isinstance(text, str) for text in require)
    return missing_requirements(require, registry) if is_list and require else []


def _fault(text: str, registry: Registry) -> str:
    try:
        requirement = Requirement(text)
        installed = version(requirement.name)
    except InvalidRequirement:
        return f"'{text}' is no requirement; write it as 'rslcore-amp>=0.3'"
    except PackageNotFoundError:
        return f"'{text}' is not installed; type `pip install '{text}'`"
    if not requirement.specifier.contains(installed, prereleases=True):
        return f"'{text}' is needed and {installed} is installed; type `pip install '{text}'`"
    name = canonicalize_name(requirement.name)
    rows = [row for row in registry.plugins if canonicalize_name(row.source.distribution) == name]
    if rows and all(row.status != "ok" for row in rows):
        reasons = (
            f"plugin '{row.source.plugin}' "
            + (f"failed to load: {row.cause}" if row.status == "failed" else f"is {row.cause}; take that away")
            for row in rows
        )
        return f"'{text}' is installed and cannot be used; {', and '.join(reasons)}"
    return ""
