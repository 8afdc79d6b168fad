"""Every exception that rslcore raises on purpose.

All of them mean "something the user can mend": the command line prints the message without a traceback and exits
with code 2. A message says what is wrong, the value, the nearest valid one and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import attrs

_MAX_LINE = 2000
"""Characters of a line of a message; of a longer one the middle is left out, mostly a value that it quotes."""


def readable(text: str) -> str:
    """A message as it may be printed: one that quotes what a user wrote may hold anything.

    What is no printable character, such as those that steer a terminal, is written as Python escapes it; long lines
    are shortened.
    """
    return "\n".join(map(_readable_line, text.split("\n")))


def _readable_line(line: str) -> str:
    if len(line) > _MAX_LINE:
        line = f"{line[: _MAX_LINE * 2 // 3]} [...] {line[-_MAX_LINE // 3 :]}"
    return line if line.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


class RslcoreError(Exception):
    """Base of all errors that a user can mend."""

    def __str__(self) -> str:
        return readable(super().__str__())


class RegistryError(RslcoreError):
    """A plugin, or the name of a component, is at fault."""


class UnknownNameError(RegistryError):
    """No component, kind or recipe has this name."""


class AmbiguousNameError(RegistryError):
    """Several distributions offer a component under this name."""


class PluginError(RegistryError):
    """A plugin is broken: it does not import, or declares something that does not exist."""


class PluginFaultError(PluginError):
    """A plugin's own code raised where it should not; `__cause__` is what it raised.

    The command line prints that traceback too, for the plugin's author.
    """


@attrs.frozen
class Problem:
    """One thing that is wrong with a configuration.

    Attributes:
        path: Where, as it is written in an override (`algorithm.clip_param`); empty for the whole config.
        message: What is wrong, the value, what would be right.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(RslcoreError):
    """A configuration is wrong. Carries every problem that was found, not only the first."""

    def __init__(self, problems: Iterable[Problem], source: str = "") -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__(str(self))

    @classmethod
    def at(cls, path: str, message: str) -> ConfigError:
        """A config error with one problem."""
        return cls([Problem(path, message)])

    def __str__(self) -> str:
        where = f" in {self.source}" if self.source else ""
        if len(self.problems) == 1 and not self.source:
            return readable(str(self.problems[0]))
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        return readable(f"{len(self.problems)} problem{'s' * (len(self.problems) != 1)}{where}:\n{lines}")


class MissingExtraError(RslcoreError):
    """An optional package is not installed; the message says which extra brings it."""


class ScaffoldError(RslcoreError):
    """A new plugin cannot be written: its name is none or is taken, or its folder is there already."""


class EnvError(RslcoreError):
    """An environment does not exist, or breaks the contract of `rslcore.protocols.Env`."""


class DeviceError(RslcoreError):
    """The device that was asked for is not there."""


class RankError(RslcoreError):
    """The processes that train together do not find one another, or do not fit."""


class LostRankError(RankError):
    """Another process of the run has ended, which says why."""


class ExtensionError(RslcoreError, ValueError):
    """An extension breaks the contract of a hook, or clashes with another one."""


class RunError(RslcoreError):
    """A run folder is missing, or does not hold what is needed."""


class BadNumbersError(RunError):
    """Numbers have gone wrong, and the run ends for it."""


class ExportError(RslcoreError):
    """A policy cannot be exported, or what was exported does not act as it does."""


class CheckpointError(RslcoreError):
    """A checkpoint cannot be read, or does not fit the run that wants to load it."""


class UnsafeContentError(CheckpointError):
    """A file is damaged, or holds more than plain data and tensors; loading that might execute something."""


def nearest_name(name: str, valid: Iterable[str], similarity: float = 0.6) -> str | None:
    """The valid name nearest to `name`, or None if none is near; 1.0 is the similarity of a name with itself."""
    return next(iter(difflib.get_close_matches(name, list(valid), n=1, cutoff=similarity)), None)


def nearest(name: str, valid: Iterable[str]) -> str:
    """The words `; did you mean 'x'?` for the valid name nearest to `name`, or nothing if none is near."""
    match = nearest_name(name, valid)
    return f"; did you mean '{match}'?" if match is not None else ""


def listed(names: Iterable[str]) -> str:
    """Names for a message: quoted, sorted, separated by commas; `none` if there are none."""
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
