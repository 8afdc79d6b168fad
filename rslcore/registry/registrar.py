"""The object that a plugin's `rslcore_register` receives."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from rslcore.errors import PluginError
from rslcore.registry.entries import COMMANDS, Command, Entry, Recipe, Source
from rslcore.registry.targets import find_target_fault

P = ParamSpec("P")

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def _in_words(method: Callable[P, None]) -> Callable[P, None]:
    """Let a call with missing or unknown arguments say how the method is called."""
    signature = inspect.signature(method)
    expected = ", ".join(name for name in signature.parameters if name != "self")

    @functools.wraps(method)
    def call(*arguments: P.args, **named: P.kwargs) -> None:
        try:
            signature.bind(*arguments, **named)
        except TypeError as error:
            kind, name = method.__name__.removeprefix("add_"), named.get("name", (*arguments, None, "?")[1])
            raise PluginError(f"{kind} '{name}': {error}; `{method.__name__}` takes {expected}") from None
        method(*arguments, **named)

    return call


class Registrar:
    """Collects what one plugin declares, bound to its source.

    Every `add_*` method takes the bare name (lower-case letters, digits, `_`, `-`), the `module:attribute` of the
    factory and of the config class, and a sentence for lists. A component without options has a config class without
    fields. It raises `PluginError` for a bad name, a name that this
    distribution has declared already, or a target that cannot exist; the plugin is then listed as failed.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.entries: list[Entry] = []
        self.recipes: list[Recipe] = []
        self.commands: list[Command] = []

    @_in_words
    def add_algorithm(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare an algorithm: `factory(config, context, policy=..., storage=...)`, both component configs."""
        self._add("algorithm", name, factory, config, summary)

    @_in_words
    def add_policy(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare a policy: `factory(config, context)`."""
        self._add("policy", name, factory, config, summary)

    @_in_words
    def add_storage(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare a storage: `factory(config, context)`."""
        self._add("storage", name, factory, config, summary)

    @_in_words
    def add_runner(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare a runner: `factory(config, context, env=..., algorithm=..., session=...)`."""
        self._add("runner", name, factory, config, summary)

    @_in_words
    def add_env(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare an env: `factory(config, context)`."""
        self._add("env", name, factory, config, summary)

    @_in_words
    def add_logger(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare a logger: `factory(config, context)`."""
        self._add("logger", name, factory, config, summary)

    @_in_words
    def add_network(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare a network: `factory(config, context, num_outputs=...)`."""
        self._add("network", name, factory, config, summary)

    @_in_words
    def add_distribution(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare a distribution: `factory(config, context)`; it reads `context.env_spec.actions`."""
        self._add("distribution", name, factory, config, summary)

    @_in_words
    def add_extension(self, name: str, *, factory: str, config: str, summary: str) -> None:
        """Declare an extension: `factory(config, context)`."""
        self._add("extension", name, factory, config, summary)

    @_in_words
    def add_recipe(self, name: str, *, file: str = "", function: str = "", env: str = "", summary: str) -> None:
        """Declare a recipe: a file, `package:path/inside/it.yaml`, or a function, `module:function`, of the env that it
        is for (see `Recipe`).
        """
        self._check_name("recipe", name, [recipe.name for recipe in self.recipes])
        if bool(file) == bool(function):
            raise PluginError(f"recipe '{name}': give it a file or a function, one of the two")
        if function and (fault := find_target_fault(function)):
            raise PluginError(f"recipe '{name}': the function {fault}")
        if file and not _is_package_file(file):
            raise PluginError(f"recipe '{name}': there is no file '{file}' (written as 'package:path.yaml')")
        self.recipes.append(Recipe(name, file, function, env, summary, self.source))

    @_in_words
    def add_command(self, name: str, *, target: str, summary: str) -> None:
        """Declare a command of `rslcore`: `module:attribute` of a `click.Command`, imported when it is called.

        rslcore's own commands cannot be declared anew.
        """
        self._check_name("command", name, [command.name for command in self.commands])
        if name in COMMANDS:
            raise PluginError(f"command '{name}' is one of rslcore's own; give it another name")
        if fault := find_target_fault(target):
            raise PluginError(f"command '{name}': the target {fault}")
        self.commands.append(Command(name, target, summary, self.source))

    def _add(self, kind: str, name: str, factory: str, config: str, summary: str) -> None:
        self._check_name(kind, name, [entry.name for entry in self.entries if entry.kind == kind])
        for role, target in (("factory", factory), ("config", config)):
            if fault := find_target_fault(target):
                raise PluginError(f"{kind} '{name}': the {role} {fault}")
        self.entries.append(Entry(kind, name, factory, config, summary, self.source))

    def _check_name(self, kind: str, name: str, taken: list[str]) -> None:
        if not _NAME.fullmatch(name):
            raise PluginError(f"{kind} '{name}': a name is lower-case letters, digits, '_' and '-', after a letter")
        if name in taken:
            raise PluginError(f"{kind} '{name}' is declared twice")


def _is_package_file(file: str) -> bool:
    module, separator, path = file.partition(":")
    spec = importlib.util.find_spec(module) if separator else None
    return spec is not None and spec.origin is not None and (Path(spec.origin).parent / path).is_file()
