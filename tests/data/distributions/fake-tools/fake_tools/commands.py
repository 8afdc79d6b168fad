"""A command of a third party."""

import click

from rslcore.errors import RunError


@click.command(short_help="Greets.")
@click.argument("name")
def greet(name):
    """Greet NAME."""
    if name == "nobody":
        raise RunError("there is nobody to greet; name someone")
    click.echo(f"hello {name}")
