"""`rslcore eval`: the return of a trained policy."""

from __future__ import annotations

import json

import click

from rslcore.cli import registry_of


@click.command(short_help="Play whole episodes with a trained policy.")
@click.argument("run", metavar="RUN")
@click.argument("overrides", metavar="[env.KEY=VALUE]...", nargs=-1)
@click.option(
    "--checkpoint", metavar="latest|best|N|FILE", default="latest", show_default=True, help="Which checkpoint."
)
@click.option("--episodes", type=click.IntRange(1), default=100, show_default=True, help="Number of whole episodes.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the envs; by default not that of training.")
@click.option("--device", metavar="NAME", help="As in a config; that of the run by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    run: str,
    overrides: tuple[str, ...],
    checkpoint: str,
    episodes: int,
    seed: int | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Evaluate RUN (its folder, a checkpoint in it, or an experiment's folder: its latest run), deterministically.

    The env is that of training, changed by env.KEY=VALUE.
    """
    from rslcore.evaluation import evaluate

    result = evaluate(
        run,
        checkpoint=checkpoint,
        episodes=episodes,
        seed=seed,
        device=device,
        overrides=overrides,
        registry=registry_of(ctx),
    )
    summary = result.summary()
    if as_json:
        head = {"checkpoint": str(result.checkpoint), "iteration": result.iteration, "episodes": len(result.returns)}
        click.echo(json.dumps({**head, **summary}, indent=2))
        return
    from rslcore.cli.tables import print_table

    click.echo(f"{len(result.returns)} episodes of {result.checkpoint}")
    statistics = ("mean", "std", "min", "max")
    rows = [(name, *(f"{values[statistic]:.2f}" for statistic in statistics)) for name, values in summary.items()]
    print_table(("", *statistics), rows)
