"""Small runs in the env `shards`, with every algorithm and extension, and how what they learned is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy
import pytest
import torch
from ranks import RankPool
from shards import registry

from rslcore.config import ExperimentConfig, load_config
from rslcore.distributed import num_ranks
from rslcore.run.checkpoint import load_checkpoint
from rslcore.training import build_algorithm, train

TOTAL = 8
"""Envs of all ranks together."""

BASE = (
    "experiment=shards",
    "iterations=3",
    "runner={name: on_policy, num_steps_per_env: 8}",
    "loggers=[]",
    "policy.actor.distribution={name: shared, init_std: 0.5}",
    "policy.actor.network={name: mlp, hidden_dims: [8], activation: tanh, normalize: true}",
    "policy.critic.network={name: mlp, groups: [policy, privileged], hidden_dims: [8], activation: elu, "
    "normalize: true}",
    "algorithm={name: ppo, num_mini_batches: 1, num_learning_epochs: 3, schedule: adaptive}",
)


NOISE = "policy.actor.distribution={name: gaussian, init_std: 0.5}"
"""Of each rank's own."""
UNEVEN = "env.uneven=true"
FEW = "algorithm={name: ppo, num_mini_batches: 2, num_learning_epochs: 1, schedule: adaptive}"
RECURRENT = (
    "policy.actor.network={name: lstm, rnn_hidden_dim: 4, hidden_dims: [8], normalize: true}",
    "policy.critic.network={name: gru, rnn_hidden_dim: 4, hidden_dims: [8], normalize: true}",
)
RND = "{name: rnd, reward_normalization: true, state_normalization: true}"
SYMMETRY = "{name: symmetry, function: 'shards:mirrored', use_data_augmentation: true, use_mirror_loss: true}"
OWN = "{name: own_optimizer}, {name: apart}"
ESTIMATOR = "{name: estimator, hidden_dims: [8]}"
AMP = "{name: amp, motions: @motions, hidden_dims: [8], replay_size: 64}"
ESTIMATE = "policy.actor.network.groups=[policy, estimate]"


def _distillation(network: str, noise: str, *extensions: str) -> tuple[str, ...]:
    student = f"{{network: {network}, distribution: {{name: {noise}, init_std: 0.5}}}}"
    own = f"learning_rate: 1e-2, gradient_length: 3, extensions: [{', '.join(extensions)}]"
    return (
        f"policy={{name: student_teacher, student: {student}, teacher: {{run: @teacher}}}}",
        f"algorithm={{name: distillation, {own}}}",
    )


MLP, GRU = (f"{{name: {name}, hidden_dims: [8], normalize: true}}" for name in ("mlp", "gru, rnn_hidden_dim: 4"))

SAME_UPDATE = {
    "ppo": (),
    "sgd": ("algorithm.optimizer=sgd", "algorithm.learning_rate=0.05", "algorithm.schedule=fixed"),
    "rollout_advantages": ("algorithm.normalize_advantage=rollout", UNEVEN),
    "minibatch_advantages": ("algorithm.normalize_advantage=minibatch", UNEVEN),
    "recurrent": (*RECURRENT, UNEVEN),
    "rnd_symmetry": (f"algorithm.extensions=[{RND}, {SYMMETRY}]", UNEVEN),
    "recurrent_rnd_symmetry": (*RECURRENT, f"algorithm.extensions=[{RND}, {SYMMETRY}]"),
    "estimator": (f"algorithm.extensions=[{ESTIMATOR}]", ESTIMATE, UNEVEN),
    "own_optimizers": (f"algorithm.extensions=[{OWN}]",),
    "distillation": (*_distillation(MLP, "shared", "{name: own_optimizer}"), UNEVEN),
    "recurrent_distillation": _distillation(GRU, "shared"),
}
"""Runs in which nothing is drawn but what all ranks draw together: they give one update on any number of ranks."""

ALL = {
    "ppo": (NOISE, FEW, UNEVEN),
    "recurrent": (
        *RECURRENT,
        NOISE,
        FEW,
        f"algorithm.extensions=[{RND}, {SYMMETRY}]",
        UNEVEN,
    ),
    "extensions": (
        NOISE,
        ESTIMATE,
        FEW,
        f"algorithm.extensions=[{AMP}, {ESTIMATOR.replace('}', ', loss: variational}')}, {RND}, {SYMMETRY}, {OWN}]",
        UNEVEN,
    ),
    "distillation": (*_distillation(GRU, "gaussian", OWN), UNEVEN),
    "fast_sac": (
        f"policy={{name: soft_actor_critic, actor: {{network: {MLP}}}, critic: {{hidden_dims: [8], normalize: true}}}}",
        "algorithm={name: fast_sac, num_updates: 2, batch_size: 16, learning_starts: 32, "
        f"extensions: [{RND}, {OWN}]}}",
        "storage={name: replay, capacity: 400, save: true}",
        UNEVEN,
    ),
}
"""Every algorithm and extension; ranks draw for themselves."""


def make_files(folder: Path) -> dict[str, str]:
    """What cases name: a run that is a teacher, and motions."""
    teacher, _ = run((), str(folder / "teacher"))
    frames = numpy.random.default_rng(0).normal(size=(13, 3)).astype(numpy.float32)
    numpy.savez(folder / "motions.npz", **{"num_frames": numpy.array([13]), "obs/policy": frames})
    return {"@teacher": teacher, "@motions": str(folder / "motions.npz")}


def fill(overrides: tuple[str, ...], files: Mapping[str, str], *more: str) -> tuple[str, ...]:
    """The overrides of a case, and some more."""
    for name, path in files.items():
        overrides = tuple(override.replace(name, path) for override in overrides)
    return (*overrides, *more)


def load(overrides: tuple[str, ...], ranks: int = 1, device: str = "cpu") -> ExperimentConfig:
    """A small run of the env `shards` with TOTAL envs over all ranks."""
    own = (f"env={{name: shards, num_envs: {TOTAL // ranks}}}", f"device={device}", "num_threads=1")
    return load_config("pendulum", (*BASE, *own, *overrides), registry())


def run(overrides: tuple[str, ...], log_root: str, device: str = "cpu", **options: Any) -> tuple[str, dict[str, float]]:
    """Train on as many ranks as there are; the folder, and the last metrics without times."""
    result = train(load(overrides, num_ranks(), device), log_root=log_root, quiet=True, registry=registry(), **options)
    return str(result.path), {name: value for name, value in result.metrics.items() if not name.startswith("Perf/")}


def run_and_hash(
    overrides: tuple[str, ...], log_root: str, device: str = "cpu", options: Mapping[str, Any] | None = None
) -> tuple[str, str, dict[str, float]]:
    """The folder, a hash of all that the algorithm of this rank has learned, and the metrics."""
    kept: list[Any] = []
    with mock.patch("rslcore.training.build_algorithm", lambda context: build_and_keep(context, kept)):
        path, metrics = run(overrides, log_root, device, **(options or {}))
    return path, digest(kept[0].state_dict()), metrics


def build_and_keep(context: Any, kept: list[Any]) -> Any:
    """The algorithm of a run."""
    kept.append(build_algorithm(context))
    return kept[-1]


def digest(state: Any) -> str:
    """A hash of nested tensors, each bit of them, and of plain values."""
    found = hashlib.sha256()
    for path, value in leaves(state).items():
        is_tensor = isinstance(value, torch.Tensor)
        found.update(path.encode())
        found.update(value.detach().cpu().numpy().tobytes() if is_tensor else repr(value).encode())
    return found.hexdigest()


def leaves(state: Any, prefix: str = "") -> dict[str, Any]:
    """What nested containers hold, by path."""
    if not isinstance(state, Mapping | list | tuple):
        return {prefix: state}
    items = state.items() if isinstance(state, Mapping) else enumerate(state)
    return {path: leaf for key, inner in items for path, leaf in leaves(inner, f"{prefix}/{key}").items()}


def final_state(path: str, iteration: int = 3) -> dict[str, Any]:
    """What the algorithm had learned, by path, of the checkpoint in a run's folder."""
    return leaves(load_checkpoint(Path(path) / f"model_{iteration}.pt").algorithm)


TOLERANCE = 1e-5
"""Of the largest number of a tensor. Single precision rounds to 6e-8 of it, sums are made in other orders, and every
optimizer step goes on from what the last one has rounded.
"""


def compare(pool: RankPool, overrides: tuple[str, ...], log_root: Path) -> float:
    """Train on one process and on several; how far apart what they learned is. Fails if that is more than rounding."""
    whole, expected = run(overrides, str(log_root / "1"), pool.device)
    ranks = pool.run(run, overrides, str(log_root / f"{pool.num_ranks}"), pool.device)
    paths, metrics = zip(*ranks, strict=True)
    assert len(set(paths)) == 1
    assert all(each == metrics[0] for each in metrics)
    gap, where = largest_difference(final_state(whole), final_state(paths[0]))
    assert gap < TOLERANCE, where
    assert metrics[0] == pytest.approx(expected, rel=1e-4, abs=2e-6)
    assert {"Train/mean_reward", "Train/mean_episode_length", "Episode/energy", "shards/state"} < set(expected)
    return gap


def largest_difference(whole: Mapping[str, Any], parts: Mapping[str, Any]) -> tuple[float, str]:
    """Between two states, relative to the largest number of a tensor, and of which one."""
    assert whole.keys() == parts.keys()
    found = []
    for path, value in whole.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel():
            gap = (value - parts[path]).abs().max() / value.abs().max().clamp(min=1e-12)
            found.append((gap.item(), path))
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, parts[path]), path
        elif not path.startswith("/modules/policy/module/_extra_state"):  # the teacher's
            assert value == parts[path], path
    return max(found)
