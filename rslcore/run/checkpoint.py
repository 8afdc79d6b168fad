"""Checkpoints: one file that holds all that a run needs to go on, or a policy to act.

Written atomically and with a checksum, and read with `weights_only=True`, so that loading one executes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from packaging.version import InvalidVersion, Version

from rslcore import __version__
from rslcore.config import ExperimentConfig, required_problems, structure
from rslcore.errors import CheckpointError, ConfigError
from rslcore.registry import Registry
from rslcore.run.compatibility import check_plugins
from rslcore.run.files import write_atomically
from rslcore.run.migrations import SCHEMA, migrate
from rslcore.run.payload import dump_payload, read_payload
from rslcore.run.provenance import Provenance
from rslcore.specs import EnvSpec

_FIRST_WITH_CHECKSUM = 3


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

    def has_env_of(self, rank: int) -> bool:
        """Whether it holds where the envs of a rank were."""
        return rank < len(self.ranks) and self.ranks[rank].get("env") is not None

    def for_rank(self, rank: int) -> Checkpoint:
        """The same without what other ranks alone have."""
        ranks = tuple(state if number == rank else {} for number, state in enumerate(self.ranks))
        return attrs.evolve(self, ranks=ranks)


def save_checkpoint(path: Path, checkpoint: Checkpoint, for_others: Mapping[str, Any] | None = None) -> None:
    """Write a checkpoint; a crash leaves the old file or the new one.

    Args:
        path: Of the file.
        checkpoint: Written there.
        for_others: Further entries of the file, which rslcore does not read and another program does: plain data and
            tensors; those that the checkpoint holds too take no more room.

    Raises:
        CheckpointError: It cannot be written, as when the disk is full; no part of it is left.
    """
    payload = {
        **(for_others or {}),
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
        write_atomically(path, lambda file: dump_payload(payload, file))
    except OSError as error:
        raise CheckpointError(f"the checkpoint '{path}' cannot be written: {error.strerror or error}") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of this schema or an older one onto the CPU, executing nothing.

    Raises:
        CheckpointError: The file is not there, is damaged, or is no checkpoint, or one of a newer schema.
    """
    payload, has_checksum = read_payload(path)
    schema, version = _schema_and_version(payload, path)
    if schema > SCHEMA:
        raise CheckpointError(
            f"'{path}' has schema {schema}, written by rslcore {version}; this is rslcore {__version__} with schema "
            f"{SCHEMA}; type `pip install 'rslcore>={version}'`"
        )
    if schema >= _FIRST_WITH_CHECKSUM and not has_checksum:
        raise CheckpointError(
            f"'{path}' is damaged, or was changed since it was written: it has no checksum, as all checkpoints of "
            f"schema {schema} have"
        )
    try:
        payload = migrate(payload)
        return Checkpoint(
            iteration=payload["iteration"],
            config=payload["config"],
            env_spec=EnvSpec.from_dict(payload["env_spec"]),
            history=tuple(map(Provenance.from_dict, payload["history"])),
            algorithm=payload["algorithm"],
            progress=payload["progress"],
            ranks=tuple(payload["ranks"]),
        )
    except Exception as error:
        raise CheckpointError(f"'{path}' is an incomplete rslcore checkpoint: {error}") from error


def _schema_and_version(payload: Any, path: Path) -> tuple[int, str]:
    """The schema, and the version of rslcore that wrote it, which messages may quote: it is nothing but a version."""
    try:
        schema, version = payload["schema"], str(Version(payload["rslcore"]))
        if type(schema) is int and schema > 0:
            return schema, version
    except (TypeError, KeyError, IndexError, InvalidVersion):
        pass
    raise CheckpointError(f"'{path}' is not an rslcore checkpoint; it was written by another program")


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
