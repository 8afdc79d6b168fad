"""Whether components and recipes are sound, as far as can be seen without building them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import yaml

from rslcore.checking.options import fill_required
from rslcore.checking.report import Line
from rslcore.config import load_config, structure, unstructure
from rslcore.config.classes import find_class_faults
from rslcore.config.describe import find_undocumented
from rslcore.errors import ConfigError, PluginFaultError, RegistryError, RslcoreError, listed
from rslcore.registry import KINDS, Entry, Recipe, Registry
from rslcore.registry.targets import import_target
from rslcore.testing.defaults import COMPONENT_CLASSES, COMPONENTS


def check_component(entry: Entry, registry: Registry) -> Iterator[Line]:
    """Whether its targets resolve, its factory takes what it is given, and its config is sound."""
    subject = f"{entry.kind} {entry.name}"
    faults: list[str] = []
    try:
        factory = registry.factory(entry.kind, entry.full_name)
        faults += _find_signature_faults(factory, entry)
    except Exception as error:  # a module of the plugin may fail in any way
        faults.append(f"Its factory does not import: {_shown(error)}.")
    try:
        faults += _find_config_faults(import_target(entry.config), entry, registry)
    except Exception as error:
        faults.append(f"Its config does not import: {_shown(error)}.")
    if not entry.summary.strip():
        faults.append("It has no summary; `rslcore describe` shows it.")
    yield from (Line(subject, "mend", fault) for fault in faults)
    if not faults:
        yield Line(subject, "ok", "Factory and config are sound.")


def _find_signature_faults(factory: Any, entry: Entry) -> list[str]:
    parts = KINDS[entry.kind].parts
    try:
        inspect.signature(factory).bind(None, None, **dict.fromkeys(parts))
    except TypeError as error:
        named = "".join(f", {part}=..." for part in parts)
        call = f"factory(config, context{named})"
        return [f"Its factory is called as `{call}`; '{entry.factory}' does not take that: {error}."]
    except ValueError:  # a callable without a signature
        return []
    return []


def _find_config_faults(config_class: Any, entry: Entry, registry: Registry) -> list[str]:
    """What is wrong with the class; only where nothing is, with the config of its defaults."""
    if faults := find_class_faults(config_class):
        return [f"In '{entry.config}', {fault}." for fault in faults]
    if silent := find_undocumented(config_class):
        return [f"In '{entry.config}', {listed(silent)} says nothing of its meaning; write `option(default, doc)`."]
    return _find_default_faults(config_class, entry, registry)


def _find_default_faults(config_class: type[Any], entry: Entry, registry: Registry) -> list[str]:
    """What is wrong with the config of defaults: it is structured like one that a user wrote."""
    try:
        options = fill_required(config_class, COMPONENTS)
    except LookupError:
        return []  # the user gives what has no default; recipes show how
    component_class = COMPONENT_CLASSES[entry.kind]
    try:
        config = structure({"name": entry.full_name, **options}, component_class, registry)
        again = structure(yaml.safe_load(yaml.safe_dump(unstructure(config))), component_class, registry)
    except ConfigError as error:
        return [f"Its defaults are no valid config: {'; '.join(map(str, error.problems))}."]
    except yaml.representer.RepresenterError as error:
        return [f"Its defaults hold what YAML cannot write: {error.args[-1]!r}."]
    return [] if config == again else ["Its defaults, written as YAML, are not read back equal."]


def check_recipe(recipe: Recipe, registry: Registry) -> Line:
    """Whether it is a valid config, of components that exist; one that is computed may need to be asked for more."""
    subject = f"recipe {recipe.name}"
    try:
        if recipe.env:
            registry.find("env", recipe.env)
    except RegistryError as error:
        return Line(subject, "mend", f"The env that it is declared for is not there: {error}.")
    try:
        load_config(recipe.full_name, registry=registry)
    except PluginFaultError as error:
        return Line(subject, "mend", f"It cannot be computed: {error}.")
    except RslcoreError as error:
        if recipe.function:
            return Line(subject, "unchecked", f"It is computed, and needs more than its name: {error}.")
        problems = error.problems if isinstance(error, ConfigError) else (error,)
        return Line(subject, "mend", f"It is no valid config: {'; '.join(map(str, problems))}.")
    return Line(subject, "ok", "It is a valid config.")


def _shown(error: Exception) -> str:
    return str(error) if isinstance(error, RslcoreError) else f"{type(error).__name__}: {error}"
