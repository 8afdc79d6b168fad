"""The pluggy hooks that a plugin module may implement.

Only `rslcore_register` is called while plugins are loaded. `rslcore_foreign_config` is asked about config files in
which something is wrong. The others are run events: they are called a few times a run, or once an iteration, never in
the environment step.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

if TYPE_CHECKING:
    from rslcore.registry.registrar import Registrar
    from rslcore.run.session import IterationRecord, RunSession

PLUGIN_API = 1
"""The version of this contract. A plugin module states the one that it was written for as `PLUGIN_API = 1`."""

F = TypeVar("F", bound=Callable[..., Any])

# pluggy's markers also take keyword arguments (`tryfirst`, ...), which a registration has no use for.
hookspec = cast("Callable[[F], F]", pluggy.HookspecMarker("rslcore"))
hookimpl = cast("Callable[[F], F]", pluggy.HookimplMarker("rslcore"))
"""Marks a function of a plugin module as the implementation of the hook of the same name."""


@hookspec
def rslcore_register(registry: Registrar) -> None:
    """Declare the plugin's components, recipes and commands.

    @hookimpl
    def rslcore_register(registry):
        registry.add_network(
            "transformer",
            factory="my_plugin.transformer:Transformer",
            config="my_plugin.config:TransformerConfig",
            summary="Attention over a history of observations.",
        )
    """


@hookspec
def rslcore_foreign_config(path: Path) -> str | None:
    """Say whether a config file that cannot be read, or in which something is wrong, is another program's.

    Returns what it looks like and what to do, a sentence that the user is told instead; None for any other file.

    @hookimpl
    def rslcore_foreign_config(path):
        if path.suffix == ".yaml" and "gym_version:" in path.read_text():
            return f"'{path}' looks like a config of my-gym; type `rslcore import-my-gym {path} -o my.yaml`"
    """


@hookspec
def rslcore_run_started(session: RunSession) -> None:
    """The run's folder exists, everything is built, the first iteration is about to begin.

    @hookimpl
    def rslcore_run_started(session):
        shutil.copy("robot.urdf", session.folder.path)
    """


@hookspec
def rslcore_iteration_finished(session: RunSession, record: IterationRecord) -> None:
    """An iteration's metrics are on the host.

    @hookimpl
    def rslcore_iteration_finished(session, record):
        notify_if(record.metrics.get("Train/mean_reward", 0.0) > 475)
    """


@hookspec
def rslcore_checkpoint_saved(session: RunSession, path: Path) -> None:
    """A checkpoint was written whole.

    @hookimpl
    def rslcore_checkpoint_saved(session, path):
        upload(path)
    """


@hookspec
def rslcore_run_finished(session: RunSession) -> None:
    """The run ended well: its last iteration is done, or it was asked to stop; its checkpoint is written.

    @hookimpl
    def rslcore_run_finished(session):
        print(f"trained in {session.folder.path}")
    """
