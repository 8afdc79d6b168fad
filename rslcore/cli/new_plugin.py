"""`rslcore new-plugin`: a whole distribution of one's own, as a place to begin."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from rslcore.cli import registry_of
from rslcore.registry import KINDS
from rslcore.scaffold import PluginNames, check_names_are_free, write_plugin


@click.command(short_help="Write a plugin of your own to begin with.")
@click.argument("name", metavar="NAME")
@click.option("--kind", metavar="KIND", default="extension", show_default=True, help=f"One of {', '.join(KINDS)}.")
@click.option("--output", metavar="DIR", default=".", show_default=True, help="Where its folder is made.")
@click.pass_context
def command(ctx: click.Context, name: str, kind: str, output: str) -> None:
    """Write the distribution rslcore-NAME, with a component called NAME of a KIND that works, a recipe and tests.

    \b
    rslcore new-plugin action-rate
    rslcore new-plugin my_net --kind network --output ~/plugins
    """
    names = PluginNames.parse(name, kind)
    check_names_are_free(names, registry_of(ctx))
    folder = write_plugin(names, Path(output).expanduser())
    place = shlex.quote(str(folder))
    # pip takes `name[test]` for a package of its index; with a slash it is a path.
    requirement = shlex.quote(f"{folder if folder.is_absolute() else './' + str(folder)}[test]")
    code = shlex.quote(str(folder / names.package / f"{kind}.py"))
    click.echo(f"Wrote {place}: the {kind} '{names.name}', complete and working.")
    click.echo(f"  install it    pip install -e {requirement}")
    click.echo(f"  train it      rslcore train {names.name}")
    click.echo(f"  test it       pytest {place}")
    click.echo(f"  check it      rslcore check-plugin {names.distribution}")
    click.echo(f"  change it     {code}")
