"""`rslcore export`: a trained policy as a file for the robot."""

from __future__ import annotations

import click

from rslcore.cli import registry_of


@click.command(short_help="Write a trained policy into a file for the robot.")
@click.argument("run", metavar="RUN")
@click.option(
    "--format",
    metavar="onnx|pt2|torchscript",
    help="By default that of FILE's suffix, or onnx.",
)
@click.option(
    "--checkpoint", metavar="latest|best|N|FILE", default="latest", show_default=True, help="Which checkpoint."
)
@click.option(
    "-o", "--output", metavar="FILE", help="By default RUN/exported/policy.onnx, .pt2 or .pt; its folder is made."
)
@click.option("--verify", is_flag=True, help="Compare the file with the policy, and write it only if they agree.")
@click.pass_context
def command(
    ctx: click.Context, run: str, format: str | None, checkpoint: str, output: str | None, verify: bool
) -> None:
    """Export the policy of RUN (its folder, a checkpoint in it, or an experiment's folder: its latest run)."""
    from rslcore.cli.tables import print_table
    from rslcore.export import export_policy
    from rslcore.export.verify import NUM_STEPS

    result = export_policy(
        run, format=format, checkpoint=checkpoint, output=output, verify=verify, registry=registry_of(ctx)
    )
    click.echo(f"{result.checkpoint} as {result.format}: {result.path}")
    rows = [
        (kind, name, f"[{', '.join(map(str, ('N', *spec.shape)))}]", spec.dtype)
        for kind, specs in (("input", result.inputs), ("output", result.outputs))
        for name, spec in specs.items()
    ]
    print_table(("", "name", "shape", "type"), rows)
    if result.largest_difference is not None:
        click.echo(f"verified over {NUM_STEPS} steps: actions differ by at most {result.largest_difference:.1e}")
