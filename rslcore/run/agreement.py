"""What the ranks of a run must have in common, and errors that say where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from rslcore.config import ExperimentConfig, unstructure
from rslcore.distributed import gather, num_ranks
from rslcore.errors import RankError
from rslcore.registry import Registry
from rslcore.run.provenance import Provenance
from rslcore.specs import EnvSpec


def check_same_run(config: ExperimentConfig, registry: Registry) -> None:
    """Raises RankError, on every rank, if ranks have different configs, plugins or versions; says which and where."""
    if num_ranks() == 1:
        return
    made_with = Provenance.of(config, registry)
    have = dict(_leaves(unstructure(config)))
    have |= {f"the version of {package}": version for package, version in made_with.versions.items()}
    have |= {
        f"the source of {' '.join(component)}": str(plugin.source)
        for plugin in made_with.plugins
        for component in plugin.components
    }
    _compare(gather(have), "start all ranks with one config and the same installed packages")


def check_same_envs(spec: EnvSpec) -> None:
    """Raises RankError, on every rank, if ranks have different numbers of envs, or others."""
    _compare(gather(dict(_leaves({"env": spec.to_dict()}))), "give every rank as many of the same envs")


def check_same_modules(state: Mapping[str, Any]) -> None:
    """Raises RankError, on every rank, if what is trained is no longer the same on all.

    Args:
        state: `Algorithm.state_dict()`.
    """
    if num_ranks() == 1:
        return
    tensors = {path: value for path, value in _leaves(state) if isinstance(value, torch.Tensor) and value.numel()}
    # Extensions may keep some of theirs on the host.
    sums = torch.stack([value.detach().double().sum().cpu() for value in tensors.values()]).tolist()
    _compare(
        gather(dict(zip(tensors, sums, strict=True))),
        "the ranks no longer have the same modules: what an extension trains outside of `losses` needs "
        "`rslcore.distributed.average_gradients` before its step, and running statistics `merged_moments`",
        shown="the sum of ",
    )


def _compare(ranks: list[dict[str, Any]], advice: str, shown: str = "") -> None:
    first = ranks[0]
    lines = []
    for number, other in enumerate(ranks[1:], start=1):
        for key in sorted({*first, *other}):
            ours, theirs = (repr(values[key]) if key in values else "missing" for values in (first, other))
            if ours != theirs:
                lines.append(f"{shown}{key} is {ours} on rank 0 and {theirs} on rank {number}")
    if lines:
        more = [f"and {len(lines) - 10} more"] if len(lines) > 10 else []
        raise RankError("the ranks differ:\n  " + "\n  ".join([*lines[:10], *more]) + f"\n{advice}")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested mappings and sequences, each with its place."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value
