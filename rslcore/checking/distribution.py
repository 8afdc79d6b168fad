"""What the metadata of a distribution says to pip and to readers."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

from packaging.requirements import Requirement

from rslcore import __version__
from rslcore.checking.report import Line

SUBJECT = "distribution"


def find_distribution(name: str) -> Distribution:
    """The installed distribution of this name; the first one on the path, as imports find it."""
    return next(each for each in distributions() if each.metadata["Name"] == name)


def check_metadata(distribution: Distribution) -> Iterator[Line]:
    """Whether it requires rslcore with a bound, and has a README."""
    if distribution.metadata["Name"] != "rslcore":
        yield _check_requirement(distribution)
    # The text stands behind the headers, or, as older versions of the format have it, in one of them.
    behind = (distribution.read_text("METADATA") or "").partition("\n\n")[2].strip()
    if behind or "Description" in distribution.metadata:
        yield Line(SUBJECT, "ok", "It has a README.")
    else:
        yield Line(SUBJECT, "mend", 'It has no README; write one, and name it in pyproject.toml: readme = "README.md".')


def _check_requirement(distribution: Distribution) -> Line:
    requirements = [Requirement(text) for text in distribution.requires or []]
    ours = [requirement for requirement in requirements if requirement.name == "rslcore"]
    bound = ".".join(__version__.split(".")[:2])
    if not ours:
        return Line(
            SUBJECT,
            "mend",
            f'It does not require rslcore; write dependencies = ["rslcore>={bound}"] in pyproject.toml.',
        )
    if not any(requirement.specifier for requirement in ours):
        return Line(
            SUBJECT,
            "mend",
            f"It requires rslcore of any version; write the one that it was made for, rslcore>={bound}, in its "
            "dependencies.",
        )
    return Line(SUBJECT, "ok", f"It requires {ours[0]}.")
