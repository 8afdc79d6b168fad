"""Configs from YAML files and recipes, with overrides, and back to YAML.

OmegaConf reads the files and the overrides: it takes `1e-3` for a number, which plain YAML loaders do not, resolves
`${...}` as Hydra's users know it, and sets `algorithm.learning_rate` or `loggers[0].name` in a tree.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rslcore.config.converter import MISSING, UNKNOWN_KEY, structure, unstructure
from rslcore.config.experiment import ExperimentConfig
from rslcore.config.overrides import Replaced, apply_override, explained, first_line, parse_override, replaced_component
from rslcore.config.requirements import required_problems
from rslcore.errors import (
    ConfigError,
    PluginFaultError,
    Problem,
    RslcoreError,
    UnknownNameError,
    listed,
    nearest_name,
)
from rslcore.registry import Recipe, Registry, default_registry

_INTERPOLATION = re.compile(r"(?<!\\)(?:\\\\)*\$\{")
_MAX_INTERPOLATIONS = 30
"""Of interpolations of one another the result grows exponentially: of so many to some 3**10 values at most."""


def load_config(
    source: str | os.PathLike[str], overrides: Iterable[str] = (), registry: Registry | None = None
) -> ExperimentConfig:
    """Read the config of a run.

    Args:
        source: Name of a recipe (`cartpole`), or path of a YAML file.
        overrides: `key=value` pairs such as `algorithm.learning_rate=3e-4`; a value is read as YAML.
        registry: Where components are looked up; the installed plugins by default.

    Raises:
        ConfigError: The file cannot be read, or something in it or in an override is wrong; all problems at once. Or a
            plugin knows whose file it is instead.
        UnknownNameError: There is no such recipe.
    """
    if isinstance(overrides, str):
        overrides = [overrides]
    registry = registry if registry is not None else default_registry()
    overrides = list(overrides)
    try:
        return _configure(_read(source, overrides, registry), overrides, registry, str(source))
    except ConfigError:
        if os.path.isfile(source) and (told := registry.told_of_foreign_config(Path(source))):
            raise ConfigError.at("", told) from None
        raise


def configure(
    data: Mapping[str, Any], overrides: Iterable[str] = (), registry: Registry | None = None, source: str = ""
) -> ExperimentConfig:
    """The config of a run from plain data, as `load_config` makes it of a file.

    Args:
        data: As YAML gives it.
        overrides: As for `load_config`.
        registry: Where components are looked up; the installed plugins by default.
        source: What the data is called in messages.

    Raises:
        ConfigError: Something in it or in an override is wrong; all problems at once.
    """
    registry = registry if registry is not None else default_registry()
    try:
        tree = OmegaConf.create(dict(data))
    except OmegaConfBaseException as error:
        raise ConfigError.at(str(getattr(error, "full_key", None) or ""), first_line(error)) from error
    return _configure(tree, list(overrides), registry, source)


def override_config(
    config: ExperimentConfig, overrides: Iterable[str], registry: Registry | None = None
) -> ExperimentConfig:
    """A config with some values changed; raises ConfigError as `load_config` does."""
    registry = registry if registry is not None else default_registry()
    return _configure(_parse(dump_yaml(config), "the config"), list(overrides), registry, "")


def _configure(tree: DictConfig, overrides: list[str], registry: Registry, source: str) -> ExperimentConfig:
    _refuse_growth(tree, source)  # before an override asks for what is in it
    problems: list[Problem] = []
    replaced: list[Replaced] = []
    for override in overrides:
        try:
            replaced += replaced_component(tree, override)
            apply_override(tree, override)
        except ConfigError as error:
            problems += error.problems
    _refuse_growth(tree, source)
    try:
        data = OmegaConf.to_container(tree, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        place = str(getattr(error, "full_key", None) or "")
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else first_line(error)
        raise ConfigError([*problems, Problem(place, reason)], source) from error
    problems += required_problems(data, registry)
    try:
        config = structure(data, ExperimentConfig, registry, source)
    except ConfigError as error:
        raise ConfigError([*problems, *explained(error.problems, replaced)], source) from error
    if problems:
        raise ConfigError(problems, source)
    return config


def dump_yaml(config: ExperimentConfig | Mapping[str, Any]) -> str:
    """A config as YAML, complete with every default, that `load_config` reads back to an equal config.

    One that is still plain data is written as it stands.

    Raises ConfigError if it holds what YAML cannot, such as a Gymnasium space in an env's kwargs, or lists in lists in
    lists beyond what can be read.
    """
    try:
        text: str = yaml.dump(unstructure(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    except yaml.representer.RepresenterError as error:
        raise ConfigError.at("", f"the config holds what YAML cannot: {error.args[-1]!r}") from error
    except RecursionError as error:
        raise ConfigError.at("", "the config is nested too deeply to be written as YAML") from error
    try:
        OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    except Exception as error:
        raise ConfigError.at("", f"the config could not be read back from YAML: {_yaml_reason(error)}") from error
    return text


class _Dumper(yaml.SafeDumper):
    """Writes strings so that OmegaConf reads them back as they are."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """In quotes where OmegaConf may see a number that YAML does not, as in `1e3`; `${` is no interpolation."""
        style = '"' if not data.isprintable() else "'" if data[:1] in "+-.0123456789" else None
        escaped = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", data)
        return self.represent_scalar("tag:yaml.org,2002:str", escaped, style)


_Dumper.add_representer(str, _Dumper.represent_str)


def _read(source: str | os.PathLike[str], overrides: Iterable[str], registry: Registry) -> DictConfig:
    path = Path(source)
    if path.suffix not in (".yaml", ".yml") and not os.path.isfile(path):
        return _parse(recipe_text(str(source), overrides, registry), f"recipe '{source}'")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        # Compared without the ending, which all of them share.
        near = {file.stem: file.name for file in path.parent.glob("*.y*ml")} if path.parent.is_dir() else {}
        match = nearest_name(path.stem, near)
        meant = f"; did you mean '{near[match]}'?" if match is not None else ""
        raise ConfigError.at("", f"there is no file '{path}'{meant}") from None
    except OSError as error:
        raise ConfigError.at("", f"'{path}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError.at("", f"'{path}' cannot be read: it is not UTF-8 text") from None
    return _parse(text, f"'{path}'")


def recipe_text(name: str, overrides: Iterable[str], registry: Registry) -> str:
    """A recipe as YAML; one that a plugin computes, as it is for these overrides, which are not applied to it.

    Raises:
        UnknownNameError: There is no such recipe.
        ConfigError: Overrides of one that is computed have keys that no config has, or cannot be read.
        RslcoreError: As the function raises it that computes the recipe.
        PluginFaultError: That function raised something else.
    """
    try:
        recipe = registry.find_recipe(name)
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}; a config of your own is given as FILE.yaml") from None
    if recipe.file:
        module, _, path = recipe.file.partition(":")
        return importlib.resources.files(module).joinpath(path).read_text(encoding="utf-8")
    asked = _asked(list(overrides), recipe, name, registry)
    function = registry.recipe_function(recipe)
    try:
        return yaml.dump(function(asked), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    except RslcoreError:
        raise
    except Exception as error:
        what = f"failed when it was computed: {type(error).__name__}: {error}"
        raise PluginFaultError(f"recipe '{recipe.name}' of {recipe.source} {what}") from error


def _asked(overrides: list[str], recipe: Recipe, source: str, registry: Registry) -> dict[str, Any]:
    """What the function of a recipe is given, as nested plain data.

    What is misspelt is told of before: the function would miss what it needs, or start a simulator for nothing.

    Raises:
        ConfigError: An override cannot be read, or has a key that no config has; with all else that is wrong for sure.
    """
    tree = OmegaConf.create({})
    unread: list[Problem] = []
    for override in overrides:
        try:
            key, _ = parse_override(override)
        except ConfigError as error:
            unread += error.problems
            continue
        if "[" in key and not isinstance(OmegaConf.select(tree, key.partition("[")[0]), ListConfig):
            continue  # an item of a list that the recipe has
        with contextlib.suppress(ConfigError):  # which is told of when it is applied to the whole config
            apply_override(tree, override)
    asked: dict[str, Any] = OmegaConf.to_container(tree)  # type: ignore[assignment]
    problems = _problems_of_asked(asked, recipe, registry)
    if unread or any(problem.message.startswith(UNKNOWN_KEY) for problem in problems):
        raise ConfigError([*unread, *problems], source)
    return asked


def _problems_of_asked(asked: dict[str, Any], recipe: Recipe, registry: Registry) -> list[Problem]:
    """What is wrong with a part of a config, whatever the rest is."""
    env = asked.get("env", {})
    if recipe.env and isinstance(env, dict):
        asked = {**asked, "env": {"name": recipe.env, **env}}
    try:
        structure(asked, ExperimentConfig, registry)
    except ConfigError as error:
        # The recipe may bring what is missing, and what a value refers to.
        return [
            problem
            for problem in error.problems
            if not problem.message.startswith(MISSING) and not _INTERPOLATION.search(problem.message)
        ]
    return []


def _parse(text: str, where: str) -> DictConfig:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        # OmegaConf takes a text for a key, and does not take a number.
        tree = OmegaConf.create(text) if isinstance(node, yaml.MappingNode) else None
    except Exception as error:  # the constructors of tags and numbers raise what they like
        raise ConfigError.at("", f"{where} is not valid YAML: {_yaml_reason(error)}") from error
    if node is None:
        raise ConfigError.at("", f"{where} is empty; `rslcore describe recipe cartpole` prints a config to begin with")
    if not isinstance(tree, DictConfig):
        keys = listed(ExperimentConfig.__annotations__)
        raise ConfigError.at("", f"{where} is no config: it should be a mapping with keys among {keys}")
    return tree


def _yaml_reason(error: Exception) -> str:
    """Where and why, without the parser's name for a string that it was given."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"  # type: ignore[attr-defined]
    return " ".join(str(error).split())


def _refuse_growth(tree: DictConfig, source: str) -> None:
    """Refuse more interpolations than can be resolved in little time, whatever they refer to."""
    try:
        count = _count_interpolations(OmegaConf.to_container(tree))
    except RecursionError:
        return  # which is told of when they are resolved
    if count > _MAX_INTERPOLATIONS:
        what = f"{count} interpolations ('${{...}}') are more than the {_MAX_INTERPOLATIONS} that a config may have"
        raise ConfigError([Problem("", f"{what}; write values instead")], source)


def _count_interpolations(data: Any) -> int:
    if isinstance(data, str):
        return len(_INTERPOLATION.findall(data))
    items = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return sum(map(_count_interpolations, items))
