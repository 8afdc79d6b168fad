"""`rslcore import-config`: an `agent.yaml` of rsl_rl's as a config of rslcore's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import click

from rslcore.cli import registry_of
from rslcore.config import dump_yaml
from rslcore.errors import ConfigError
from rslcore_rsl_rl.agent_file import is_of_an_env, is_of_rslcore, read_agent_file
from rslcore_rsl_rl.translation import TEACHER_RUN, Translation, translate

_ENV = """\
# env:  # which environments; `rslcore describe env` lists what is installed
#   name:
"""
_AUTO = (None, "auto", "cuda", "cuda:0")
"""Devices that are the same as `device: auto`."""


@click.command(short_help="A config of rsl_rl's as a config of rslcore's.")
@click.argument("file", metavar="FILE.yaml", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write to a new file.")
@click.pass_context
def command(ctx: click.Context, file: Path, output: Path | None) -> None:
    """Write the agent.yaml of rsl_rl 1 to 5 as a config of rslcore's, but for its env, with notes as comments.

    \b
    rslcore import-config params/agent.yaml -o my.yaml
    """
    data = read_agent_file(file)
    _refuse_others(file, data)
    try:
        translation = translate(data, registry=registry_of(ctx))
        left = _left_to_do(data, translation)
        text = _page(file, translation, left)
    except ConfigError as error:
        raise ConfigError(error.problems, f"'{file}'") from error
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            with output.open("x", encoding="utf-8") as opened:
                opened.write(text)
        except FileExistsError as error:
            raise ConfigError.at("", f"'{output}' is there already; choose another name with --output") from error
        except OSError as error:
            raise ConfigError.at("", f"'{output}' cannot be written: {error.strerror}") from error
    click.echo("\n".join(["left to do:", *(f"  {each}" for each in left)]), err=True)


def _refuse_others(file: Path, data: Any) -> None:
    """Say what a file is that others may take for an agent.yaml."""
    if data is None:
        raise ConfigError.at("", f"'{file}' is empty")
    if is_of_rslcore(data):
        raise ConfigError.at(
            "", f"'{file}' is a config of rslcore already; `rslcore train {quote(str(file))}` takes it"
        )
    if is_of_an_env(data):
        raise ConfigError.at("", f"'{file}' looks like the config of an env; take the agent.yaml that lies beside it")


def _page(file: Path, translation: Translation, left: Sequence[str]) -> str:
    """The config as YAML, with notes and what is left to do above it, and a place for the env."""
    lines = [f"From rsl_rl's {file.name}."]
    if translation.notes:
        lines += ["", "Notes, with keys and classes as rsl_rl 5 calls them:", *translation.notes]
    lines += ["", "To check:", *left]
    comments = "".join(f"# {' '.join(line.split())}".rstrip() + "\n" for line in lines)
    return f"{comments}\n{_ENV}{dump_yaml(translation.config)}"


def _left_to_do(data: Mapping[str, Any], translation: Translation) -> list[str]:
    """What a config of rsl_rl's does not say, or says of things that are no part of a config here."""
    steps = ["env: write which environments", *translation.to_check]
    if translation.config["policy"]["name"] == "student_teacher":
        steps.append(f"policy.teacher.run: write the folder of the teacher's run in place of '{TEACHER_RUN}'")
    steps.append(
        "runner.init_at_random_ep_len: true, where the script called learn(..., init_at_random_ep_len=True), as those "
        "of most projects do"
    )
    within = data.get("runner")
    told = {**(within if isinstance(within, Mapping) else {}), **data}
    if told.get("run_name"):
        steps.append(f"run_name: `rslcore train --run-name {quote(str(told['run_name']))}`")
    if told.get("device") not in _AUTO:
        steps.append(
            f"device ({told['device']}): is left out, so that CUDA is taken where it is there; write "
            f"`device={told['device']}` to have that one"
        )
    if told.get("clip_actions") is not None:
        clip = f"clip_actions={told['clip_actions']}"
        steps.append(
            f"clip_actions: `env.{clip}` for the envs 'isaaclab' and 'mjlab'; for 'vec_env' `env.kwargs.{clip}`, "
            "where the function in 'env.factory' takes it"
        )
    return steps
