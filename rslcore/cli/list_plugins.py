"""`rslcore list-plugins`: which plugins are installed, whether they load, what they bring."""

from __future__ import annotations

import json

import click

from rslcore.cli import registry_of
from rslcore.registry import PluginRow


@click.command(short_help="What is installed, and whether it loads.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--strict", is_flag=True, help="Exit with code 2 if a plugin failed to load.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, strict: bool) -> int:
    """List plugins: plugin, distribution, version, status, components."""
    plugins = registry_of(ctx).plugins
    if as_json:
        click.echo(json.dumps([_as_dict(row) for row in plugins], indent=2))
    else:
        _print_table(plugins)
    return 2 if strict and any(row.status == "failed" for row in plugins) else 0


def _as_dict(row: PluginRow) -> dict[str, object]:
    return {
        "plugin": row.source.plugin,
        "distribution": row.source.distribution,
        "version": row.source.version,
        "module": row.source.module,
        "status": row.status,
        "cause": row.cause,
        "components": [{"kind": entry.kind, "name": entry.name, "summary": entry.summary} for entry in row.entries],
        "recipes": [{"name": recipe.name, "summary": recipe.summary} for recipe in row.recipes],
        "commands": [{"name": command.name, "summary": command.summary} for command in row.commands],
    }


def _print_table(plugins: tuple[PluginRow, ...]) -> None:
    from rslcore.cli.tables import print_table

    rows = []
    for row in plugins:
        brings = [f"{entry.kind} {entry.name}" for entry in row.entries]
        brings += [f"recipe {recipe.name}" for recipe in row.recipes]
        brings += [f"command {command.name}" for command in row.commands]
        source = row.source
        rows.append((source.plugin, source.distribution, source.version, row.status, row.cause or ", ".join(brings)))
    print_table(("plugin", "distribution", "version", "status", "components"), rows)
