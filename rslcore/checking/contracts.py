"""Whether components keep the contracts of their kinds.

A component is tried with its default config, in the surroundings of the contracts, and in those of the distribution's
own recipes. The first in which it can be built are those in which it is tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from rslcore.checking.options import fill_required
from rslcore.checking.report import Line
from rslcore.config import load_config, unstructure
from rslcore.errors import MissingExtraError, RslcoreError
from rslcore.registry import Entry, PluginRow, Registry
from rslcore.testing.defaults import COMPONENTS, FAKE_ENVS

try:
    from rslcore.testing.cases import Outcome, make_case, run_contract
    from rslcore.testing.contracts import find_contract
except ModuleNotFoundError as error:
    if error.name != "pytest":
        raise
    raise MissingExtraError(
        "the contracts are run by pytest, which is not installed; type `pip install 'rslcore[testing]'`"
    ) from None

SMALL = {"num_envs": 4, "num_steps_per_env": 8, "num_learning_epochs": 2, "num_mini_batches": 2}
"""Options of recipes that are made small, where they are larger."""

FIRST_TEST = "test_component_satisfies_its_protocol"
"""The test that only builds the component."""


@attrs.frozen
class Surroundings:
    """Where a component is tried.

    Attributes:
        origin: In words, for the report.
        fixtures: Of the contract, by name.
    """

    origin: str
    fixtures: Mapping[str, Any]


def check_contracts(entry: Entry, rows: Sequence[PluginRow], registry: Registry) -> Iterator[Line]:
    """Run the contract of a component's kind, in the first surroundings in which it can be built."""
    subject = f"{entry.kind} {entry.name}"
    reasons: list[str] = []
    for surroundings in _find_surroundings(entry, rows, registry, reasons):
        contract = find_contract(entry.kind, registry.factory(entry.kind, entry.full_name))
        case = make_case(contract, registry=registry, **surroundings.fixtures)
        refused = [outcome for outcome in run_contract(case, FIRST_TEST) if outcome.is_refusal]
        if refused:
            reasons.append(f"with {surroundings.origin}: {refused[0].sentence}")
            continue
        yield from _report(subject, surroundings, run_contract(case))
        return
    reason = reasons[-1] if reasons else "nothing says how it is configured"
    yield Line(subject, "unchecked", f"Its contract was not run: {reason}.".replace("..", "."))


def _report(subject: str, surroundings: Surroundings, outcomes: Sequence[Outcome]) -> Iterator[Line]:
    failed: dict[str, list[str]] = {}  # names of tests by what they say: one fault may fail many
    for outcome in outcomes:
        if outcome.status == "failed":
            failed.setdefault(outcome.sentence, []).append(outcome.test)
    for sentence, tests in failed.items():
        more = len(tests) - 1
        others = f" (and {more} more {'test' if more == 1 else 'tests'}, for the same reason)" if more else ""
        yield Line(subject, "mend", f"{tests[0]}{others}: {sentence}")
    passed = sum(outcome.status == "passed" for outcome in outcomes)
    if not failed:
        yield Line(subject, "ok", f"It keeps the contract of its kind ({passed} tests, with {surroundings.origin}).")


def _find_surroundings(
    entry: Entry, rows: Sequence[PluginRow], registry: Registry, reasons: list[str]
) -> Iterator[Surroundings]:
    """Surroundings to try; where there are none for a reason, the reason is added to `reasons`."""
    envs: tuple[dict[str, Any], ...] = FAKE_ENVS if entry.kind != "env" else ({},)
    try:
        options = fill_required(registry.config_class(entry.kind, entry.full_name), COMPONENTS)
    except LookupError as error:
        reasons.append(f"option '{error.args[0]}' has no default, and no recipe of the distribution fits")
    else:
        component = _small({"name": entry.full_name, **options, **_shrunk(entry, registry)})
        for env in envs:
            yield Surroundings("its defaults", {"component": component, **({"env": env} if env else {})})
    for name, config in _recipes(rows, registry):
        for component in _find_components(config, entry):
            for env in (*envs, {}):
                fixtures = _of_recipe(config, entry, component)
                yield Surroundings(f"the recipe '{name}'", {**fixtures, **({"env": env} if env else {})})


def _shrunk(entry: Entry, registry: Registry) -> dict[str, Any]:
    """Those of the options in `SMALL` that the component has."""
    fields = {field.name for field in attrs.fields(registry.config_class(entry.kind, entry.full_name))}
    return {name: value for name, value in SMALL.items() if name in fields}


def _recipes(rows: Sequence[PluginRow], registry: Registry) -> Iterator[tuple[str, dict[str, Any]]]:
    """The recipes of a distribution, as plain data."""
    for row in rows:
        for recipe in row.recipes:
            try:
                yield recipe.name, unstructure(load_config(recipe.full_name, registry=registry))
            except RslcoreError:  # reported with the recipe
                continue


def _find_components(config: Any, entry: Entry) -> Iterator[dict[str, Any]]:
    """Where a recipe names the component: its options."""
    if isinstance(config, Mapping):
        if config.get("name") in (entry.name, entry.full_name):
            yield dict(config)
        for value in config.values():
            yield from _find_components(value, entry)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _find_components(value, entry)


def _of_recipe(config: Mapping[str, Any], entry: Entry, component: Mapping[str, Any]) -> dict[str, Any]:
    """The fixtures of a contract as a recipe has them, made small."""
    fixtures = {name: _small(config[name]) for name in ("env", "runner", "policy", "algorithm", "storage")}
    own = {"network": "policy", "distribution": "policy"}.get(entry.kind, entry.kind)
    fixtures.pop(own, None)
    if entry.kind == "extension":
        extensions = [*config["algorithm"].get("extensions", []), {"name": "fake"}]
        fixtures["algorithm"] = {**fixtures["algorithm"], "extensions": extensions}
    return {**fixtures, "component": _small(component)}


def _small(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a component with few envs and few steps."""
    return {
        name: min(value, SMALL[name]) if name in SMALL and isinstance(value, int) else value
        for name, value in options.items()
    }
