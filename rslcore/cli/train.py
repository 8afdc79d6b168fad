"""`rslcore train`: train a recipe or a config file."""

from __future__ import annotations

import logging
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rslcore.cli import registry_of
from rslcore.cli.launch import LaunchingCommand, chosen, launch_options, launch_ranks
from rslcore.errors import CheckpointError, ConfigError, RunError

if TYPE_CHECKING:
    from rslcore.config import ExperimentConfig
    from rslcore.errors import Problem
    from rslcore.registry import Registry
    from rslcore.training import TrainingResult


@click.command(cls=LaunchingCommand, short_help="Train a recipe or a config file.")
@click.argument("source", metavar="[RECIPE|FILE.yaml]", required=False)
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--run-name", metavar="X", help="Appended to the name of the run's folder.")
@click.option("--log-root", metavar="DIR", default="logs", show_default=True, help="Folder of all runs.")
@click.option("--resume", metavar="RUN", help="Go on from a run's latest checkpoint, in its folder; or from a file.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@launch_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    source: str | None,
    overrides: tuple[str, ...],
    run_name: str | None,
    log_root: str,
    resume: str | None,
    quiet: bool,
    **launch: str | int | None,
) -> int:
    """Train a RECIPE (see `rslcore describe recipe`) or a config FILE.yaml, changed by KEY=VALUE overrides.

    \b
    rslcore train cartpole
    rslcore train cartpole seed=2 algorithm.learning_rate=1e-3 env.num_envs=128
    rslcore train my.yaml --run-name first
    rslcore train --resume logs/cartpole/2026-01-31_12-00-00 iterations=200
    rslcore train cartpole --nproc-per-node 2
    """
    is_main = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING if is_main else logging.ERROR)
    if source is not None and "=" in source and Path(source).suffix not in (".yaml", ".yml"):
        overrides, source = (source, *overrides), None
    registry = registry_of(ctx)
    config = _config(source, overrides, resume, registry)

    if options := chosen(launch):
        return launch_ranks(options, _own_arguments(ctx))

    from rslcore.training import train

    result = train(config, run_name=run_name, log_root=log_root, resume=resume, quiet=quiet, registry=registry)
    if not quiet and is_main:
        _say_what_next(result, config)
    return 0 if result.stopped_by is None else 128 + result.stopped_by


def _own_arguments(ctx: click.Context) -> list[str]:
    """What each of several processes is started with: the command line without the options of torchrun."""
    assert ctx.parent is not None
    own, given = [f"--no-plugin={name}" for name in ctx.parent.params["disabled"]], ctx.params
    own.append("train")
    own += [f"--{name.replace('_', '-')}={given[name]}" for name in ("log_root", "run_name", "resume") if given[name]]
    own += ["--quiet"] if given["quiet"] else []
    return [*own, "--", *([given["source"]] if given["source"] is not None else []), *given["overrides"]]


def _config(source: str | None, overrides: tuple[str, ...], resume: str | None, registry: Registry) -> ExperimentConfig:
    from rslcore.config import load_config

    if source is not None:
        recipes = {name for recipe in registry.recipes() for name in (recipe.name, recipe.full_name)}
        if source not in recipes and os.path.isdir(source):
            raise _is_folder(source)
        return load_config(source, overrides, registry)
    if resume is None:
        raise ConfigError.at("", "name a recipe or a config file: `rslcore train cartpole`, `rslcore train my.yaml`")
    from rslcore.run.folder import CONFIG_FILE, RunFolder

    try:
        return load_config(RunFolder.find_resumable(Path(resume)).path / CONFIG_FILE, overrides, registry)
    except ConfigError as error:
        if not any(map(_may_miss_a_plugin, error.problems)):
            raise
        from rslcore.run.resume import check_resumed

        try:
            check_resumed(Path(resume), registry)
        except CheckpointError as reason:
            others = [problem for problem in error.problems if not _is_told(problem, str(reason))]
            if len(others) == len(error.problems):
                raise error from None  # what the config misses is not what the checkpoint misses
            if not others:
                raise
            raise CheckpointError(f"{reason}\n{ConfigError(others, error.source)}") from error
        raise


def _is_folder(source: str) -> ConfigError:
    """What to do with a folder that was given in the place of a recipe or a config file."""
    from rslcore.run.folder import RunFolder

    try:
        run = shlex.quote(str(RunFolder.find(Path(source)).path))
    except RunError:
        return ConfigError.at("", f"'{source}' is a folder; name a recipe, or a config file in it")
    is_run = "is a run's folder" if RunFolder(Path(source)).is_run() else "is a folder of runs"
    advice = f"to go on with the run, type `rslcore train --resume {run}`; to evaluate it, `rslcore eval {run}`"
    return ConfigError.at("", f"'{source}' {is_run}; {advice}")


def _may_miss_a_plugin(problem: Problem) -> bool:
    return problem.path.endswith(".name") or problem.path.startswith("plugins.require[")


def _is_told(problem: Problem, reason: str) -> bool:
    """Whether the component or distribution that a problem quotes is one that the reason speaks of."""
    quoted = re.search(r"'([\w./-]+)", problem.message)
    told = quoted is not None and re.search(rf"(?<![\w-]){re.escape(quoted[1])}(?![\w-])", reason)
    return _may_miss_a_plugin(problem) and bool(told)


def _say_what_next(result: TrainingResult, config: ExperimentConfig) -> None:
    run = shlex.quote(str(result.path))
    if result.stopped_by is None:
        iterations = "1 iteration" if result.iteration == 1 else f"{result.iteration} iterations"
        click.echo(f"\nTrained {iterations}. The run lies in {run}")
    else:
        click.echo(f"\nStopped by {result.stopped_by.name} at iteration {result.iteration}. The run lies in {run}")
    click.echo(f"  evaluate it   rslcore eval {run}")
    if any(logger.name == "tensorboard" for logger in config.loggers):
        click.echo(f"  see curves    tensorboard --logdir {shlex.quote(str(result.path.parent))}")
    total = "" if result.stopped_by is not None else f" iterations={2 * result.iteration}"
    click.echo(f"  go on         rslcore train --resume {run}{total}")
