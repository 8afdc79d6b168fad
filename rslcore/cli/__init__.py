"""The command line: one module a command, imported when it is called.

Exit codes: 0 all went well, 2 something that the user can mend (one message; a traceback only where a plugin's own code
failed), 3 another process of the same run has ended, 130 or 143 the run was stopped by Ctrl-C or SIGTERM after its
checkpoint was written.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback

import click

from rslcore import __version__
from rslcore.errors import LostRankError, PluginFaultError, RslcoreError, nearest
from rslcore.registry import Registry, default_registry
from rslcore.registry.entries import COMMANDS

LOST_RANK = 3
"""The exit code of a process whose run has ended because another rank has."""


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for, so that none waits for the imports of another.

    Plugins add commands by `registry.add_command`, under other names than ours.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order in which a user meets them, and then those of plugins."""
        return list(dict.fromkeys((*COMMANDS, *(command.name for command in registry_of(ctx).commands()))))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name in COMMANDS:
            command: click.Command = importlib.import_module(f"rslcore.cli.{cmd_name.replace('-', '_')}").command
            return command
        plugin_command: click.Command = registry_of(ctx).command(cmd_name)
        return plugin_command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help, for which those of plugins are not imported."""
        rows = [(name, self.get_command(ctx, name).get_short_help_str(formatter.width)) for name in COMMANDS]  # type: ignore[union-attr]
        rows += [(command.name, command.summary) for command in registry_of(ctx).commands()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest one."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            commands = self.list_commands(ctx)
            if args[0] not in (*commands, *(command.full_name for command in registry_of(ctx).commands())):
                ctx.fail(
                    f"there is no command '{args[0]}'{nearest(args[0], commands)} (commands: {', '.join(commands)})"
                )
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="rslcore %(version)s")
@click.option("--no-plugin", "disabled", multiple=True, metavar="NAME", help="Leave a plugin out; may be repeated.")
@click.pass_context
def cli(ctx: click.Context, disabled: tuple[str, ...]) -> None:
    """Train robot policies from a named configuration, every component found by entry point."""


def registry_of(ctx: click.Context) -> Registry:
    """The registry that the command line asked for."""
    root = ctx.find_root()
    if root.obj is None:  # asked before the command runs too, since plugins add commands
        disabled = root.params.get("disabled")
        root.obj = Registry.discover(disabled) if disabled else default_registry()
    registry: Registry = root.obj
    return registry


def _which_rank() -> str:
    """Of several processes that train together, which one speaks."""
    return f"rank {os.environ['RANK']}: " if _is_one_of_several() else ""


def _is_one_of_several() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def main() -> None:
    """Entry point of the `rslcore` command."""
    try:
        code = cli.main(standalone_mode=False)
    except RslcoreError as error:
        if isinstance(error, PluginFaultError) and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        whose = "" if isinstance(error, LostRankError) else _which_rank()  # that one says it itself
        click.echo(f"{whose}error: {error}", err=True)
        code = 2
        if isinstance(error, LostRankError):
            code = LOST_RANK
            time.sleep(1.0)  # so that the launcher sees first which rank has failed by itself
        if _is_one_of_several():
            sys.stdout.flush()
            os._exit(code)  # at once: torch may wait for the others where it frees what it shares with them
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
