"""Checkpoints: one file that holds all that a run needs to go on, or a policy to act.

Written atomically, and read with `weights_only=True`, so that loading one executes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from rslcore import __version__
from rslcore.config import ExperimentConfig, required_problems, structure
from rslcore.errors import CheckpointError, ConfigError
from rslcore.registry import Registry, Source
from rslcore.run.compatibility import check_plugins
from rslcore.run.files import write_atomically
from rslcore.run.provenance import Provenance, UsedPlugin
from rslcore.specs import EnvSpec

SCHEMA = 3
"""Layout of the file; raised when it changes. The first one named the plugins, and not what came from each. The second
one held the state of random generators and none of what each process alone has."""


@attrs.frozen
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        iteration: Number of iterations done.
        config: The run's config as plain dicts; `checkpoint_config` structures it.
        env_spec: What the env said of itself, so that the policy can be rebuilt without it.
        history: What the run was made with, from its beginning on; the last one is what wrote the checkpoint.
        algorithm: `Algorithm.state_dict()`.
        progress: Totals and episode statistics of the run.
        ranks: What each process of the run alone has, by rank; see `RunSession`.
    """

    iteration: int
    config: Mapping[str, Any]
    env_spec: EnvSpec
    history: tuple[Provenance, ...]
    algorithm: Mapping[str, Any]
    progress: Mapping[str, Any]
    ranks: tuple[Mapping[str, Any], ...]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a crash leaves the old file or the new one.

    Raises:
        CheckpointError: It cannot be written, as when the disk is full; no part of it is left.
    """
    payload = {
        "schema": SCHEMA,
        "rslcore": __version__,
        "iteration": checkpoint.iteration,
        "config": checkpoint.config,
        "env_spec": checkpoint.env_spec.to_dict(),
        "history": [stage.to_dict() for stage in checkpoint.history],
        "algorithm": checkpoint.algorithm,
        "progress": checkpoint.progress,
        "ranks": list(checkpoint.ranks),
    }
    try:
        write_atomically(path, lambda file: torch.save(payload, file))
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint '{path}' cannot be written: {error}") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU, executing nothing.

    Raises:
        CheckpointError: The file is not there, is damaged, or is not a checkpoint of this schema.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise CheckpointError(f"the checkpoint '{path}' cannot be read: {error.strerror}") from error
    with file:
        try:
            payload = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds, by the place of the damage
            text = "it ends too early" if isinstance(error, OSError) else str(error).strip()
            reason = (text or type(error).__name__).splitlines()[0]
            raise CheckpointError(f"'{path}' is damaged, truncated or no checkpoint: {reason}") from error
    if not isinstance(payload, dict) or "schema" not in payload or "rslcore" not in payload:
        raise CheckpointError(f"'{path}' is not an rslcore checkpoint; it was written by another program")
    if payload["schema"] not in (1, 2, SCHEMA):
        raise CheckpointError(
            f"'{path}' has schema {payload['schema']!r}, written by rslcore {payload['rslcore']}; this is rslcore "
            f"{__version__} with schema {SCHEMA}; type `pip install 'rslcore>={payload['rslcore']}'`"
        )
    if payload["schema"] < SCHEMA:
        payload["ranks"] = [{"rng": payload["rng"]}]
    try:
        return Checkpoint(
            iteration=payload["iteration"],
            config=payload["config"],
            env_spec=EnvSpec.from_dict(payload["env_spec"]),
            history=_history(payload),
            algorithm=payload["algorithm"],
            progress=payload["progress"],
            ranks=tuple(payload["ranks"]),
        )
    except Exception as error:
        raise CheckpointError(f"'{path}' is an incomplete rslcore checkpoint: {error}") from error


def _history(payload: Mapping[str, Any]) -> tuple[Provenance, ...]:
    if payload["schema"] == 1:
        plugins = tuple(UsedPlugin(Source(**source), ()) for source in payload["sources"])
        return (Provenance(0, {"rslcore": payload["rslcore"]}, plugins),)
    return tuple(map(Provenance.from_dict, payload["history"]))


def checkpoint_config(checkpoint: Checkpoint, path: Path, registry: Registry) -> ExperimentConfig:
    """The config that a checkpoint was written with, structured by the plugins that are installed now.

    Raises:
        CheckpointError: They are not those that it was made with or that its config requires (see `check_plugins`), or
            its config no longer fits them; says what does not, and which versions the run was made with.
    """
    made_with = checkpoint.history[-1]
    check_plugins(made_with, registry, f"'{path}'", required_problems(checkpoint.config, registry))
    try:
        return structure(checkpoint.config, ExperimentConfig, registry)
    except ConfigError as error:
        versions = {f"{plugin.source.distribution}=={plugin.source.version}" for plugin in made_with.plugins}
        raise CheckpointError(
            f"the config in '{path}' does not fit the installed plugins: {error}\n"
            f"It was made with {', '.join(sorted(versions))}."
        ) from error
