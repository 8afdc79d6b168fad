"""Whether what was trained can be loaded with the plugins that are here now, and if not, what to do."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from rslcore import __version__
from rslcore.errors import CheckpointError, Problem, listed
from rslcore.registry import PluginRow, Registry, Source
from rslcore.run.provenance import Provenance, UsedPlugin

_log = logging.getLogger(__name__)


def check_plugins(made_with: Provenance, registry: Registry, what: str, further: Iterable[Problem] = ()) -> None:
    """See whether what was used is installed, whole, and not older; what is newer is noted in the log.

    Args:
        made_with: What was used.
        registry: What is installed.
        what: What was made with it, for messages.
        further: Problems that are told together with those found here.

    Raises:
        CheckpointError: Something is not as it was; says what, and what to do about each.
    """
    if problems := [*map(str, further), *find_problems(made_with, registry)]:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise CheckpointError(f"{what} does not go with the plugins that are here:\n{lines}")
    newer = [
        f"{name} {version} (now {installed})"
        for name, (version, installed) in _versions(made_with, registry).items()
        if _is_older(version, installed)
    ]
    if newer:
        _log.warning("%s was made with %s", what, ", ".join(newer))


def find_problems(made_with: Provenance, registry: Registry) -> list[str]:
    """What keeps a run from being loaded: plugins that are missing, older, failed, disabled, or no longer the same."""
    problems = []
    by_distribution: dict[str, list[UsedPlugin]] = defaultdict(list)
    for plugin in made_with.plugins:
        by_distribution[plugin.source.distribution].append(plugin)
    versions = _versions(made_with, registry)
    for distribution, (version, installed) in versions.items():
        plugins = by_distribution[distribution]
        words = f"{_components(plugins)} came from {distribution} {version}"
        if not installed:
            command = f"pip install '{distribution}=={version}'"
            problems.append(f"{words}, which is not installed{_others(plugins, registry)}; type `{command}`")
            continue
        if _is_older(installed, version):
            problems.append(f"{words}, and {installed} is installed; type `pip install '{distribution}>={version}'`")
        for plugin in plugins:
            problems += _problems_of(plugin, installed, registry)
    return problems


def _versions(made_with: Provenance, registry: Registry) -> dict[str, tuple[str, str]]:
    """The version then and now of each distribution; now is empty if it is not installed."""
    now: dict[str, str] = {"rslcore": __version__}
    now.update((canonicalize_name(row.source.distribution), row.source.version) for row in registry.plugins)
    then = {plugin.source.distribution: plugin.source.version for plugin in made_with.plugins}
    then.setdefault("rslcore", made_with.versions["rslcore"])
    return {name: (version, now.get(canonicalize_name(name), "")) for name, version in then.items()}


def _problems_of(used: UsedPlugin, installed: str, registry: Registry) -> Iterator[str]:
    """What is wrong with a plugin whose distribution is installed."""
    source = used.source
    words = f"{_components([used])} came from plugin '{source.plugin}' of {source}"
    row = _row_of(source, registry)
    if row is not None and row.status == "disabled":
        yield f"{words}, which is {row.cause}; take that away"
        return
    if row is not None and row.status == "failed":
        again = "" if installed == source.version else f"; type `pip install '{source.distribution}=={source.version}'`"
        yield f"{words}, which failed to load: {row.cause}{again}"
        return
    for kind, name in used.components:
        bare = name.rpartition("/")[2]
        offers = [entry for entry in registry.entries(kind) if entry.name == bare]
        ours = [entry for entry in offers if _same(entry.source, source)]
        rivals = [entry.source for entry in offers if not _same(entry.source, source)]
        if not ours:
            yield (
                f"{kind} '{name}' came from {source}, and {installed} has none{_others([used], registry)}; "
                f"type `pip install '{source.distribution}=={source.version}'`"
            )
        elif rivals and name == bare:
            away = " ".join(f"--no-plugin {_name_to_leave_out(rival, registry)}" for rival in rivals)
            yield (
                f"{kind} '{name}' came from {source}, and {', '.join(map(str, rivals))} offers that name too; "
                f"leave it out with `{away}`"
            )


def _name_to_leave_out(rival: Source, registry: Registry) -> str:
    """The name of a plugin, or of its distribution where others would be left out by the same name."""
    sources = [row.source for row in registry.plugins]
    named = [source for source in sources if rival.plugin in (source.plugin, source.distribution)]
    return rival.plugin if all(_same(source, rival) for source in named) else rival.distribution


def _others(plugins: Iterable[UsedPlugin], registry: Registry) -> str:
    """Words about other distributions that offer the same names, which must not be taken for them."""
    found = {
        str(entry.source)
        for plugin in plugins
        for kind, name in plugin.components
        for entry in registry.entries(kind)
        if entry.name == name and not _same(entry.source, plugin.source)
    }
    return f" (what {listed(found)} offers under that name is something else)" if found else ""


def _row_of(source: Source, registry: Registry) -> PluginRow | None:
    rows = (row for row in registry.plugins if row.source.plugin == source.plugin and _same(row.source, source))
    return next(rows, None)


def _same(ours: Source, theirs: Source) -> bool:
    return canonicalize_name(ours.distribution) == canonicalize_name(theirs.distribution)


def _components(plugins: Iterable[UsedPlugin]) -> str:
    """The components of plugins in words; the plugins themselves where an older file does not name components."""
    words = [f"{kind} '{name}'" for plugin in plugins for kind, name in plugin.components]
    return ", ".join(words or [f"plugin '{plugin.source.plugin}'" for plugin in plugins]) or "it"


def _is_older(one: str, other: str) -> bool:
    try:
        return Version(one) < Version(other)
    except InvalidVersion:  # no order is known
        return False
