"""The whole configuration of one run."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs

from rslcore.config.choices import OnBadNumbers
from rslcore.config.components import (
    AlgorithmComponent,
    EnvComponent,
    LoggerComponent,
    PolicyComponent,
    RunnerComponent,
    StorageComponent,
)
from rslcore.config.fields import Range, config, option


def _check_folder_name(instance: Any, attribute: attrs.Attribute[str], value: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", value):
        raise ValueError(f"{value!r} cannot name a folder; use letters, digits, '_', '-', '.'")
    if len(value.encode()) > 200:
        raise ValueError(f"{value!r} is too long to name a folder; use 200 bytes at most")


@config
class PluginsConfig:
    """What the run needs of the installed plugins."""

    require: tuple[str, ...] = option((), "Distributions that must be installed, such as `rslcore-amp>=0.3`.")


@config
class ExperimentConfig:
    """One run: an env, a policy, an algorithm, and how long."""

    experiment: str = option(
        "run", "Name of the folder under the log root in which the run's own folder is made.", _check_folder_name
    )
    seed: int = option(1, "Seeds Python, NumPy, torch and the envs; env i of N gets seed + i.", Range(0, 2**31 - 1))
    device: str = option("auto", "`cpu`, `cuda`, `cuda:1`, ...; `auto` takes CUDA where it is there.")
    num_threads: int | None = option(
        None,
        "CPU threads that torch uses; null leaves it at all cores. 1 is fastest for small networks, and on a machine "
        "that several runs share.",
        Range(1, 1024),
    )
    iterations: int = option(
        1000, "Iterations in all; one is `num_steps_per_env` steps of every env and one update.", Range(1)
    )
    keep_checkpoints: int | None = option(
        None, "Latest checkpoints that stay on disk, beside the best one; null keeps all.", Range(1)
    )
    best_metric: str | None = option(
        None,
        "A metric, such as `Train/mean_reward`: of the checkpoints that are written, the one at which it was best is "
        "kept as `model_best.pt`.",
    )
    best_is: Literal["highest", "lowest"] = option("highest", "Which value of `best_metric` is the best.")
    on_bad_numbers: OnBadNumbers = option(
        "stop",
        "What the run does when numbers of an env or a gradient are not finite, or actions explode: `stop` ends it, "
        "`skip` goes on and learns nothing from them, `reset` also resets the envs that gave them.",
    )
    env: EnvComponent = option(attrs.NOTHING, "The environments.")
    runner: RunnerComponent = option(attrs.NOTHING, "The loop.")
    policy: PolicyComponent = option(attrs.NOTHING, "The networks.")
    algorithm: AlgorithmComponent = option(attrs.NOTHING, "What learns.")
    storage: StorageComponent = option(attrs.NOTHING, "Where the rollout is kept.")
    loggers: tuple[LoggerComponent, ...] = option((), "Who receives the metrics.")
    repositories: tuple[str, ...] = option(
        (),
        "Git repositories, each by a file or folder in it: commit, status and uncommitted changes of each are recorded "
        "in the run's folder `git/`.",
    )
    plugins: PluginsConfig = option(PluginsConfig(), "What the run needs of the installed plugins.")
