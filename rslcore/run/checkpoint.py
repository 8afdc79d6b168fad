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
from rslcore.config import Component, ExperimentConfig, structure
from rslcore.errors import CheckpointError, ConfigError, UnknownNameError
from rslcore.registry import Registry, Source
from rslcore.run.files import write_atomically
from rslcore.specs import EnvSpec

SCHEMA = 1
"""Layout of the file; raised when it changes."""


@attrs.frozen
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        iteration: Number of iterations done.
        config: The run's config as plain dicts; `checkpoint_config` structures it.
        env_spec: What the env said of itself, so that the policy can be rebuilt without it.
        sources: The plugins that built the run.
        algorithm: `Algorithm.state_dict()`.
        progress: Totals and episode statistics of the run.
        rng: State of the random number generators.
    """

    iteration: int
    config: Mapping[str, Any]
    env_spec: EnvSpec
    sources: tuple[Source, ...]
    algorithm: Mapping[str, Any]
    progress: Mapping[str, Any]
    rng: Mapping[str, Any]


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
        "sources": [attrs.asdict(source) for source in checkpoint.sources],
        "algorithm": checkpoint.algorithm,
        "progress": checkpoint.progress,
        "rng": checkpoint.rng,
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
    if payload["schema"] != SCHEMA:
        raise CheckpointError(
            f"'{path}' has schema {payload['schema']!r}, written by rslcore {payload['rslcore']}; "
            f"this is rslcore {__version__} with schema {SCHEMA}"
        )
    try:
        return Checkpoint(
            iteration=payload["iteration"],
            config=payload["config"],
            env_spec=EnvSpec.from_dict(payload["env_spec"]),
            sources=tuple(Source(**source) for source in payload["sources"]),
            algorithm=payload["algorithm"],
            progress=payload["progress"],
            rng=payload["rng"],
        )
    except Exception as error:
        raise CheckpointError(f"'{path}' is an incomplete rslcore checkpoint: {error}") from error


def checkpoint_config(checkpoint: Checkpoint, path: Path, registry: Registry) -> ExperimentConfig:
    """The config that a checkpoint was written with, structured by the plugins that are installed now.

    Raises:
        CheckpointError: It no longer fits them; says what does not, and which versions the run was made with.
    """
    try:
        return structure(checkpoint.config, ExperimentConfig, registry)
    except ConfigError as error:
        made_with = ", ".join(sorted({f"{source.distribution}=={source.version}" for source in checkpoint.sources}))
        raise CheckpointError(
            f"the config in '{path}' does not fit the installed plugins: {error}\nIt was made with {made_with}."
        ) from error


def component_sources(config: ExperimentConfig, registry: Registry) -> tuple[Source, ...]:
    """The sources of every component that a config names, at any depth."""
    names: list[tuple[str, str]] = []
    _collect_components(config, names)
    try:
        return tuple(registry.sources(names))
    except UnknownNameError as error:  # a config made in Python may name what is not installed
        raise ConfigError.at("", str(error)) from error


def _collect_components(value: Any, names: list[tuple[str, str]]) -> None:
    if isinstance(value, Component):
        names.append((value.kind, value.name))
        _collect_components(value.config, names)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            _collect_components(getattr(value, field.name), names)
    elif isinstance(value, tuple | list):
        for item in value:
            _collect_components(item, names)
