"""`rslcore import-checkpoint`: a checkpoint of rsl_rl's as a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rslcore.cli import registry_of

if TYPE_CHECKING:
    from rslcore.specs import TensorSpec


def _groups(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, TensorSpec]:
    from rslcore_rsl_rl.sizes import read_group

    try:
        return dict(map(read_group, values))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(short_help="A checkpoint of rsl_rl's as a run.")
@click.argument("file", metavar="MODEL.pt", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "--config",
    metavar="FILE.yaml",
    required=True,
    type=click.Path(path_type=Path),
    help="The agent.yaml of the run that wrote it, or a config of rslcore's.",
)
@click.option(
    "--obs",
    metavar="GROUP=SIZE",
    multiple=True,
    callback=_groups,
    help="Size of a group, policy=48 or camera=3x64x64, where no env is named; may be repeated.",
)
@click.option("--run-name", metavar="X", help="Appended to the name of the run's folder.")
@click.option("--log-root", metavar="DIR", default="logs", show_default=True, help="Folder of all runs.")
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    overrides: tuple[str, ...],
    config: Path,
    obs: dict[str, TensorSpec],
    run_name: str | None,
    log_root: str,
) -> None:
    """Make a run of a checkpoint that rsl_rl 1 to 5 has written; nothing in the file is executed.

    Overrides say which env the run has, and change other things as those of `rslcore train` do. Without an env the run
    acts and can be exported.

    \b
    rslcore import-checkpoint model_1499.pt --config params/agent.yaml env.name=mjlab env.task=Mjlab-Cartpole-Balance
    rslcore import-checkpoint model_1499.pt --config params/agent.yaml --obs policy=48
    """
    from rslcore_rsl_rl.import_run import import_run

    run = import_run(file, config, overrides, registry_of(ctx), given=obs, log_root=Path(log_root), run_name=run_name)
    for note in run.notes:
        click.echo(f"note: {note}", err=True)
    path = shlex.quote(str(run.path))
    click.echo(f"Imported iteration {run.iteration}. The run lies in {path}")
    if run.can_step:
        click.echo(f"  evaluate it   rslcore eval {path}")
        total = "" if run.config.iterations > run.iteration else f" iterations={2 * run.iteration}"
        click.echo(f"  go on         rslcore train --resume {path}{total}")
    click.echo(f"  export it     rslcore export {path}")
