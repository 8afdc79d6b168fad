"""`rslcore check-plugin`: whether a distribution is a good plugin, and what to mend."""

from __future__ import annotations

import json

import attrs
import click

from rslcore.cli import registry_of
from rslcore.registry import Registry

MARKS = {"ok": "ok", "mend": "MEND", "unchecked": "not checked"}


@click.command(short_help="What an installed plugin should mend.")
@click.argument("distribution", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--strict", is_flag=True, help="Exit with code 2 also if something could not be checked.")
@click.pass_context
def command(ctx: click.Context, distribution: str | None, as_json: bool, strict: bool) -> int:
    """Check the plugins of an installed DISTRIBUTION: metadata, imports, configs, recipes, and the contracts.

    \b
    rslcore check-plugin               the distributions that can be checked
    rslcore check-plugin rslcore-amp   a report; exits with code 2 if there is something to mend
    """
    registry = registry_of(ctx)
    if distribution is None:
        _list(registry, as_json)
        return 0
    from rslcore.checking import check_distribution
    from rslcore.checking.report import summarize

    lines = []
    for line in check_distribution(registry, distribution):
        lines.append(line)
        if not as_json:
            click.echo(f"{MARKS[line.status]:<13}{line.subject}: {line.text}")
    if as_json:
        click.echo(json.dumps([attrs.asdict(line) for line in lines], indent=2))
    else:
        click.echo(f"\n{summarize(distribution, lines)}")
    faults = ("mend", "unchecked") if strict else ("mend",)
    return 2 if any(line.status in faults for line in lines) else 0


def _list(registry: Registry, as_json: bool) -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for row in registry.plugins:
        found.setdefault((row.source.distribution, row.source.version), []).append(row.source.plugin)
    rows = [
        {"distribution": name, "version": version, "plugins": ", ".join(plugins)}
        for (name, version), plugins in found.items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from rslcore.cli.tables import print_table

    print_table(("distribution", "version", "plugins"), [tuple(row.values()) for row in rows])
    click.echo("\nName one of them: rslcore check-plugin DISTRIBUTION")
