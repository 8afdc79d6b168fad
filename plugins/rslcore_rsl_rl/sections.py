"""Reading a dict of rsl_rl's with its paths kept in mind, so that what is wrong is told by the key that its user wrote.

A config goes two ways: older shapes are brought into that of rsl_rl 5, and that into rslcore's. `Findings` remembers
where each key came from, across both, and gathers problems and notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rslcore.errors import ConfigError, Problem, listed, nearest


def is_set(value: Any) -> bool:
    """Whether a key says anything: None is rsl_rl's "unset", and `{}` what Isaac Lab makes of a missing value."""
    return value is not None and not (isinstance(value, Mapping) and not value)


def plain(value: Any) -> Any:
    """A copy of dicts and lists, tuples as lists; what is neither stays as it is."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


class Findings:
    """What was found while a dict was read: problems, notes, and where things came from.

    Paths are those of rsl_rl 5 unless something else is said; `problems` have those of the user's dict.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.to_check: list[str] = []
        """Sentences of which each may change what is learned, unless the user does something."""
        self.fallback_set = ""
        """The observation set whose groups a missing one has; empty for rsl_rl 5's rule, the group `policy`."""
        self.guesses: dict[str, list[str]] = {}
        """Observation sets that are missing where the env is not known; what rsl_rl takes if it has no such group."""
        self.origins: dict[str, str] = {}
        """For paths of rslcore's config those of the user's dict."""
        self._moved: dict[str, str] = {}

    def move(self, old: str, *new: str) -> None:
        """Note that a key of an older version, by its path at this moment, has other paths in rsl_rl 5."""
        old = self.users_path(old)
        self._moved.update(dict.fromkeys(new, old))
        quoted = (f"'{path}'" for path in new)
        self.notes.append(f"'{old}' is now {' and '.join(quoted)}")

    def relocate(self, old: str, new: str) -> None:
        """The same without a note."""
        self._moved[new] = self.users_path(old)

    def users_path(self, path: str) -> str:
        """The path in the user's dict for one of rsl_rl 5."""
        return replace_prefix(path, self._moved)

    def problem(self, path: str, message: str) -> None:
        """Something that is wrong at a path; told once, though two models may have come from the same key."""
        problem = Problem(self.users_path(path), message)
        if problem not in self.problems:
            self.problems.append(problem)

    def note(self, sentence: str) -> None:
        """Something that the user should know."""
        self.notes.append(sentence)

    def check(self, sentence: str) -> None:
        """Something that the user should look at, since the translation may not be what was meant."""
        self.to_check.append(sentence)

    def came_from(self, ours: str, path: str) -> None:
        """Remember where an option of ours came from."""
        self.origins[ours] = self.users_path(path)

    def add_ours(self, problems: Iterable[Problem]) -> None:
        """Problems at paths of rslcore's config; of those that are known already nothing is said again."""
        known = {problem.path for problem in self.problems}
        for problem in problems:
            path = replace_prefix(problem.path, self.origins)
            if path not in known:
                known.add(path)
                self.problems.append(Problem(path, problem.message))

    def raise_problems(self) -> None:
        """Raise ConfigError with all problems, if there are any."""
        if self.problems:
            raise ConfigError(self.problems)


def replace_prefix(path: str, table: Mapping[str, str]) -> str:
    """A path whose longest beginning that is in the table is replaced by what stands there; a whole key, or an item."""
    for end in range(len(path), 0, -1):
        if path[:end] in table and (end == len(path) or path[end] in ".["):
            return table[path[:end]] + path[end:]
    return path


class Section:
    """A dict of rsl_rl's, of which keys that say nothing are left out.

    Args:
        data: What stands at `path`; anything but a mapping is a problem, and read as an empty one.
        path: Where, in the shape of rsl_rl 5; empty for the whole dict.
        findings: Where problems are gathered.
    """

    def __init__(self, data: Any, path: str, findings: Findings) -> None:
        self.path, self.findings = path, findings
        self.is_mapping = not is_set(data) or isinstance(data, Mapping)
        if not self.is_mapping:
            findings.problem(path, f"{data!r} ({type(data).__name__}) should be a mapping")
            data = None
        self._data = {str(key): value for key, value in (data or {}).items() if is_set(value)}
        self._none = {str(key) for key, value in (data or {}).items() if value is None}

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def get(self, key: str, default: Any = None) -> Any:
        """What stands at a key, or the default where it says nothing."""
        return self._data.get(key, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def at(self, key: str) -> str:
        """The path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def has_none(self, key: str) -> bool:
        """Whether a key is there and is None, which of a few keys is a value."""
        return key in self._none

    def section(self, key: str) -> Section:
        """The dict at a key; empty where there is none."""
        return Section(self._data.get(key), self.at(key), self.findings)

    def problem(self, key: str, message: str) -> None:
        """Something that is wrong with a key."""
        self.findings.problem(self.at(key), message)

    def flag(self, key: str) -> bool:
        """A switch; False where it says nothing, or something that is neither true nor false, which is a problem."""
        value = self.get(key, False)
        if not isinstance(value, bool):
            self.problem(key, f"{value!r} ({type(value).__name__}) should be true or false")
            return False
        return value

    def require(self, *keys: str, of: str) -> None:
        """Each of these keys must be there, since the class `of` has no default for it."""
        for key in keys:
            if key not in self and self.is_mapping:
                self.problem(key, f"is missing; '{of}' of rsl_rl has no default for it")

    def refuse_unknown(
        self,
        known: Iterable[str],
        owner: str,
        others: Mapping[str, Iterable[str]] | None = None,
        ignored: Iterable[str] = (),
    ) -> None:
        """Keys beyond the known ones are problems.

        Args:
            known: What can be set.
            owner: The class that it can be set of.
            others: Classes of the same kind, and what can be set of them.
            ignored: Keys that may stand there and mean nothing.
        """
        known = list(known)
        for key in self._data:
            if key in known or key in ignored:
                continue
            having = [name for name, keys in (others or {}).items() if key in keys]
            if having:
                self.problem(key, f"'{owner}' has no such key; {listed(having)} {'have' if len(having) > 1 else 'has'}")
            else:
                self.problem(key, f"unknown key{nearest(key, known)} ('{owner}' has {listed(known)})")


class Options:
    """Options of one of our components, each with the key that it came from.

    Args:
        path: Of the component, in rslcore's config.
        section: What is translated.
        fixed: Options that came from the section as a whole, such as the name.
    """

    def __init__(self, path: str, section: Section, **fixed: Any) -> None:
        self.path, self.section, self.values = path, section, dict(fixed)
        section.findings.came_from(path, section.path)

    def put(self, name: str, value: Any, key: str) -> None:
        """Set an option; `key` is theirs."""
        self.values[name] = value
        self.section.findings.came_from(f"{self.path}.{name}" if self.path else name, self.section.at(key))

    def take(self, *keys: str, **renamed: str) -> None:
        """Set options to what stands at keys, under the same or, `theirs="ours"`, another name; absent ones are not."""
        for key, name in {**dict(zip(keys, keys, strict=True)), **renamed}.items():
            if key in self.section:
                self.put(name, plain(self.section[key]), key)
