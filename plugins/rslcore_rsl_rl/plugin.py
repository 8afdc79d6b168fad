"""Declares the env `vec_env` and the commands that read and write rsl_rl's files, and knows its configs."""

from __future__ import annotations

import shlex
from pathlib import Path

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the env and the commands."""
    registry.add_env(
        "vec_env",
        factory="rslcore_rsl_rl.make:make_vec_env",
        config="rslcore_rsl_rl.config:VecEnvConfig",
        summary="An env of rsl_rl's kind, of any project, that a function of yours makes.",
    )
    registry.add_command(
        "import-config",
        target="rslcore_rsl_rl.import_config:command",
        summary="A config of rsl_rl's as a config of rslcore's.",
    )
    registry.add_command(
        "import-checkpoint",
        target="rslcore_rsl_rl.import_checkpoint:command",
        summary="A checkpoint of rsl_rl's as a run.",
    )
    registry.add_command(
        "export-checkpoint",
        target="rslcore_rsl_rl.export_checkpoint:command",
        summary="A run's checkpoint as one of rsl_rl's.",
    )


@hookimpl
def rslcore_foreign_config(path: Path) -> str | None:
    """Name the command that makes a config of rslcore's of one of rsl_rl's."""
    from rslcore_rsl_rl.agent_file import is_agent_file

    if not is_agent_file(path):
        return None
    command = f"rslcore import-config {shlex.quote(str(path))} -o my.yaml"  # with `>` the shell empties a file first
    return f"'{path}' looks like a config of rsl_rl; type `{command}`"
