"""`rslcore export-checkpoint`: a run's checkpoint as a file that another library goes on with."""

from __future__ import annotations

from pathlib import Path

import click

from rslcore.errors import CheckpointError


@click.command(short_help="A run's checkpoint as one of rsl_rl's.")
@click.argument("run", metavar="RUN")
@click.option(
    "--format", "form", type=click.Choice(["rsl_rl"]), default="rsl_rl", show_default=True, help="rsl_rl 5.x."
)
@click.option(
    "--checkpoint", metavar="latest|best|N|FILE", default="latest", show_default=True, help="Which checkpoint."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="By default RUN/rsl_rl/model_<index of the iteration>.pt.",
)
def command(run: str, form: str, checkpoint: str, output: Path | None) -> None:
    """Write a checkpoint of RUN (its folder, a checkpoint in it, or an experiment's folder) as rsl-rl-lib 5 loads it.

    \b
    rslcore export-checkpoint logs/cartpole/2026-01-31_12-00-00
    """
    from rslcore.run.files import write_atomically
    from rslcore.run.folder import RunFolder
    from rslcore.run.payload import dump_payload
    from rslcore.run.recovery import load_checkpoint_of
    from rslcore_rsl_rl.checkpoints import left_out, rsl_rl_state

    given = Path(run)
    folder = RunFolder.find(given)
    is_file = given.is_file() and given.suffix == ".pt" and checkpoint == "latest"
    file = given if is_file else folder.checkpoint(checkpoint)
    loaded = load_checkpoint_of(folder, file, "rslcore export-checkpoint")
    state = rsl_rl_state(loaded.algorithm, loaded.config, loaded.iteration)
    path = output if output is not None else folder.path / form / f"model_{state['iter']}.pt"
    try:
        if output is None:
            path.parent.mkdir(exist_ok=True)
        write_atomically(path, lambda opened: dump_payload(state, opened))
    except OSError as error:
        raise CheckpointError(f"the checkpoint '{path}' cannot be written: {error.strerror or error}") from error
    for note in left_out(loaded.algorithm, loaded.config):
        click.echo(f"note: {note}", err=True)
    click.echo(f"Wrote iteration {loaded.iteration} as {path}")
    click.echo(f"  load it in rsl_rl   runner.load({str(path)!r})")
