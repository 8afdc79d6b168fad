"""`plugins.require`: which distributions a run needs."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement

from rslcore.errors import Problem


def missing_requirements(requirements: Iterable[str]) -> list[Problem]:
    """What is wrong with the requirements of a config: not installed, of another version, or no requirement at all."""
    problems = []
    for text in requirements:
        try:
            requirement = Requirement(text)
            installed = version(requirement.name)
        except InvalidRequirement:
            problems.append(f"'{text}' is no requirement; write it as 'rslcore-amp>=0.3'")
        except PackageNotFoundError:
            problems.append(f"'{text}' is not installed; type `pip install '{text}'`")
        else:
            if not requirement.specifier.contains(installed, prereleases=True):
                problems.append(f"'{text}' is needed and {installed} is installed; type `pip install '{text}'`")
    return [Problem("plugins.require", problem) for problem in problems]
