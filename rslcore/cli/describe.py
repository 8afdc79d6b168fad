"""`rslcore describe`: what can be configured, down to the meaning of a field."""

from __future__ import annotations

import inspect
import json
from typing import Any

import attrs
import click

from rslcore.cli import registry_of
from rslcore.errors import UnknownNameError, listed, nearest
from rslcore.registry import KINDS, Registry

RECIPE, EXPERIMENT = "recipe", "experiment"
DESCRIBED = (*KINDS, RECIPE, EXPERIMENT)
"""What may stand for a kind."""


@click.command(short_help="What can be configured.")
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, kind: str | None, name: str | None, as_json: bool) -> None:
    """Describe kinds, the components of a KIND, or the fields of the one called NAME.

    \b
    rslcore describe                 the kinds of component
    rslcore describe algorithm       the algorithms
    rslcore describe algorithm ppo   the options of PPO
    rslcore describe experiment      the keys of a config file
    rslcore describe recipe cartpole the recipe as YAML
    """
    registry = registry_of(ctx)
    if kind is None:
        _print(_kinds(registry), ("kind", "installed", "summary"), as_json)
        return
    _check_kind(registry, kind)
    if kind == EXPERIMENT:
        if name is not None:
            raise UnknownNameError("an experiment has no components of its own; type `rslcore describe experiment`")
        _describe_experiment(as_json)
    elif kind == RECIPE and name is not None:
        _describe_recipe(registry, name, as_json)
    elif name is None:
        _print(_components(registry, kind), ("name", "distribution", "version", "summary"), as_json)
    else:
        _describe_component(registry, kind, name, as_json)


def _kinds(registry: Registry) -> list[dict[str, str]]:
    rows = [
        {"kind": kind.name, "installed": _names(registry, kind.name), "summary": kind.summary}
        for kind in KINDS.values()
    ]
    recipes = ", ".join(recipe.name for recipe in registry.recipes())
    rows.append({"kind": RECIPE, "installed": recipes, "summary": "A complete config, for `rslcore train`."})
    rows.append({"kind": EXPERIMENT, "installed": "", "summary": "The keys of a config file itself."})
    return rows


def _names(registry: Registry, kind: str) -> str:
    return ", ".join(dict.fromkeys(entry.name for entry in registry.entries(kind)))


def _check_kind(registry: Registry, kind: str) -> None:
    if kind in DESCRIBED:
        return
    if homes := [entry.kind for each in KINDS for entry in registry.entries(each) if entry.name == kind]:
        raise UnknownNameError(f"'{kind}' is no kind; type `rslcore describe {homes[0]} {kind}`")
    raise UnknownNameError(f"there is no kind '{kind}'{nearest(kind, DESCRIBED)} (kinds: {listed(DESCRIBED)})")


def _components(registry: Registry, kind: str) -> list[dict[str, str]]:
    entries = registry.recipes() if kind == RECIPE else registry.entries(kind)
    return [
        {
            "name": entry.name,
            "distribution": entry.source.distribution,
            "version": entry.source.version,
            "summary": entry.summary,
        }
        for entry in entries
    ]


def _describe_component(registry: Registry, kind: str, name: str, as_json: bool) -> None:
    entry = registry.find(kind, name)
    head = {"kind": kind, "name": entry.name, "summary": entry.summary, "source": str(entry.source)}
    _print_fields(head, registry.config_class(kind, name), as_json)


def _describe_experiment(as_json: bool) -> None:
    from rslcore.config import ExperimentConfig

    summary = "The keys of a config file."
    _print_fields({"kind": EXPERIMENT, "name": "", "summary": summary, "source": "rslcore"}, ExperimentConfig, as_json)


def _describe_recipe(registry: Registry, name: str, as_json: bool) -> None:
    from rslcore.config import load_config, recipe_text, unstructure

    recipe = registry.find_recipe(name)
    if as_json:
        click.echo(json.dumps(unstructure(load_config(name, registry=registry)), indent=2))
    else:
        text = recipe_text(name, (), registry)
        click.echo(f"# {recipe.summary} ({recipe.source})\n{text}", nl=False)


def _print_fields(head: dict[str, str], config_class: type[Any], as_json: bool) -> None:
    from rslcore.config.describe import field_docs

    fields = field_docs(config_class)
    if as_json:
        click.echo(json.dumps({**head, "fields": [attrs.asdict(field) for field in fields]}, indent=2))
        return
    click.echo(f"{head['kind']} {head['name']}".rstrip() + f" ({head['source']}): {head['summary']}\n")
    if details := inspect.cleandoc(config_class.__doc__ or "").partition("\n\n")[2]:
        click.echo(f"{details}\n")
    if not fields:
        click.echo("It has no options.")
        return
    rows = [
        {
            "field": field.name,
            "type": field.type,
            "default": "(required)" if field.required else json.dumps(field.default),
            "range": field.range,
            "meaning": field.doc,
        }
        for field in fields
    ]
    _print(rows, ("field", "type", "default", "range", "meaning"), as_json=False)


def _print(rows: list[dict[str, str]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from rslcore.cli.tables import print_table

    print_table(columns, [[row[column] for column in columns] for row in rows])
