"""The names of a new plugin: all follow from one word, and none may be taken."""

from __future__ import annotations

import importlib.util
import re

import attrs

from rslcore.errors import ScaffoldError, UnknownNameError, listed, nearest
from rslcore.registry import KINDS, Registry

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 40
"""Letters of a name, so that the lines of the files that are written stay below 120."""


@attrs.frozen
class PluginNames:
    """What the parts of a plugin are called.

    Attributes:
        name: Of the component and its recipe, as it is written in a config: `action-rate`.
        kind: Key of `rslcore.registry.KINDS`.
    """

    name: str
    kind: str

    @classmethod
    def parse(cls, name: str, kind: str) -> PluginNames:
        """Check a name and a kind as they were typed.

        Raises:
            UnknownNameError: There is no such kind.
            ScaffoldError: The name is none; says what to type.
        """
        if kind not in KINDS:
            raise UnknownNameError(f"there is no kind '{kind}'{nearest(kind, KINDS)} (kinds: {listed(KINDS)})")
        for prefix in ("rslcore-", "rslcore_"):
            if name.startswith(prefix):
                raise ScaffoldError(f"'{name}': the 'rslcore-' is put before it; write '{name.removeprefix(prefix)}'")
        if not _NAME.fullmatch(name):
            rule = "a name is lower-case letters and digits, after a letter, in words joined by '-' or '_'"
            raise ScaffoldError(f"'{name}' cannot name a plugin: {rule}; did you mean '{_repaired(name)}'?")
        if len(name) > _LONGEST:
            raise ScaffoldError(f"'{name}' has {len(name)} letters; a name has {_LONGEST} at the most")
        return cls(name, kind)

    @property
    def identifier(self) -> str:
        """The name as a part of Python's: `action_rate`."""
        return self.name.replace("-", "_")

    @property
    def distribution(self) -> str:
        """What pip calls it: `rslcore-action-rate`."""
        return f"rslcore-{self.name.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What is imported: `rslcore_action_rate`."""
        return f"rslcore_{self.identifier}"

    @property
    def config_class(self) -> str:
        """`ActionRateConfig`."""
        return f"{self.camel}Config"

    @property
    def component_class(self) -> str:
        """`ActionRateExtension`: with the kind, so that no name is one that the module imports."""
        kind = self.kind.capitalize()
        return self.camel if self.camel.removesuffix(kind) not in ("", self.camel) else f"{self.camel}{kind}"

    @property
    def camel(self) -> str:
        """The name as a part of a class: `ActionRate`."""
        return "".join(word.capitalize() for word in self.identifier.split("_"))


def check_names_are_free(names: PluginNames, registry: Registry) -> None:
    """Refuse names that something installed has.

    Raises:
        ScaffoldError: A component of the kind, a recipe, a distribution or a package has one of the names.
    """
    owners = [
        f"the {entry.kind} '{entry.name}' of {entry.source}"
        for entry in registry.entries(names.kind)
        if entry.name == names.name
    ]
    owners += [
        f"the recipe '{recipe.name}' of {recipe.source}" for recipe in registry.recipes() if recipe.name == names.name
    ]
    owners += [
        f"the distribution {row.source.distribution} {row.source.version}"
        for row in registry.plugins
        if row.source.distribution == names.distribution
    ]
    if importlib.util.find_spec(names.package) is not None:
        owners.append(f"the package '{names.package}'")
    if owners:
        raise ScaffoldError(f"'{names.name}' is taken: there is {owners[0]} already; choose another name")


def _repaired(name: str) -> str:
    """The name that was probably meant."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789") or "my-plugin"
