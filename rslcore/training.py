"""From a config to a trained run: builds every component by name and lets the runner loop."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from rslcore.config import ExperimentConfig, dump_yaml, missing_requirements
from rslcore.context import Context
from rslcore.device import limited_threads, resolve_device
from rslcore.distributed import each_from_main, from_main, gather, is_main, joined, num_ranks, rank
from rslcore.errors import ConfigError, LostRankError, RunError
from rslcore.memory import is_about_memory, limited_parameters, memory_reason
from rslcore.protocols import Algorithm, Logger, Runner
from rslcore.registry import Registry, default_registry
from rslcore.run.agreement import check_same_envs, check_same_run
from rslcore.run.checkpoint import Checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.launch import end_with_launcher, note_run, noted_run
from rslcore.run.lock import RunLock
from rslcore.run.resume import Resumed, find_resumed, set_aside_later
from rslcore.run.session import RunSession
from rslcore.run.signals import stop_on_signals
from rslcore.seeding import seed_everything

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


@attrs.frozen
class TrainingResult:
    """How a run ended.

    Attributes:
        path: The run's folder.
        iteration: Number of iterations done.
        metrics: Scalars of the last iteration by name; empty if there was none.
        stopped_by: The signal that ended the run before its last iteration, or None.
    """

    path: Path
    iteration: int
    metrics: dict[str, float]
    stopped_by: signal.Signals | None


def train(
    config: ExperimentConfig,
    *,
    run_name: str | None = None,
    log_root: str | os.PathLike[str] = "logs",
    resume: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    registry: Registry | None = None,
) -> TrainingResult:
    """Train a run.

    Nothing is written before everything is built, so that a mistake in the config leaves no folder behind. SIGINT and
    SIGTERM end the run after the current iteration, with a checkpoint; a second one ends it at once.

    Args:
        config: From `load_config`.
        run_name: Appended to the name of the run's folder.
        log_root: Folder of all runs.
        resume: A run's folder, or a checkpoint in it, to go on from, in that folder; the latest checkpoint by default.
            A run that has none yet begins again.
        quiet: Print nothing.
        registry: Where components are looked up; the installed plugins by default.

    Raises:
        RslcoreError: Something in the config, the plugins or the files is wrong.
    """
    if not isinstance(config, ExperimentConfig):
        raise TypeError(f"config should be an ExperimentConfig, as from load_config({config!r})")
    registry = registry if registry is not None else default_registry()
    if missing := missing_requirements(config.plugins.require, registry):
        raise ConfigError(missing)
    if resume is not None and run_name is not None:
        raise RunError("a run name is for a new run; a resumed one keeps its folder")
    end_with_launcher()
    training = next(_training)
    device = resolve_device(config.device)
    with limited_threads(config.num_threads), joined(device), RunLock() as lock:
        check_same_run(config, registry)
        found = None
        if is_main():
            noted = noted_run(training)
            found = find_resumed(resume, noted, config, registry, lock)
            if found is not None and found.file is not None and noted is None and not quiet:  # else a warning says it
                print(f"goes on from {found.file}, iteration {found.iteration}", flush=True)
        parts: list[Resumed | None] = [None] * num_ranks() if found is None else [*found.for_each_rank()]
        resumed = each_from_main(parts)
        del found, parts
        seed_everything(config.seed)  # what is built is the same on all ranks
        return _build_and_run(config, registry, device, resumed, training, lock, run_name, Path(log_root), quiet)


_training = itertools.count(1)
"""Numbers the calls of `train` in this process."""


def _build_and_run(
    config: ExperimentConfig,
    registry: Registry,
    device: torch.device,
    resumed: Resumed | None,
    training: int,
    lock: RunLock,
    run_name: str | None,
    log_root: Path,
    quiet: bool,
) -> TrainingResult:
    checkpoint = resumed.checkpoint if resumed is not None else None
    seed = _env_seed(config, checkpoint)
    context = Context(registry, config, device, seed, num_steps_per_env(config), restoring=checkpoint is not None)
    text = dump_yaml(config)
    with contextlib.closing(context.build(config.env, "env")) as env:
        check_same_envs(env.spec)
        context = attrs.evolve(context, env=env, spec=env.spec)
        with limited_parameters(device):
            algorithm = build_algorithm(context)
        loggers = build_loggers(context) if is_main() else {}
        session = RunSession(context, algorithm, loggers, quiet or not is_main())
        if rank():
            seed_everything(config.seed + _SEEDS_OF_A_RANK * rank())
        if resumed is not None and checkpoint is not None:
            session.restore(checkpoint)
            resumed.checkpoint = checkpoint = None  # it may hold a replay as large as the one that was loaded
        runner: Runner = context.build(config.runner, "runner", env=env, algorithm=algorithm, session=session)
        folder = from_main(_make_folder(config, resumed, lock, run_name, log_root) if is_main() else None)
        assert folder is not None
        if is_main():
            folder.write_config(text)
            note_run(folder.path, training)
        return _run(session, runner, folder)


_SEEDS_OF_A_RANK = 1_000_003
"""What the seeds of the noise of two ranks differ by: more than those of two runs are likely to."""


def _env_seed(config: ExperimentConfig, checkpoint: Checkpoint | None) -> int:
    """The seed of the first env of this rank, so that envs are seeded alike however many ranks they are spread over."""
    num_envs = getattr(config.env.config, "num_envs", None) or _SEEDS_OF_A_RANK  # None where the env itself knows
    # A resumed run whose envs begin anew must not meet the episodes of its beginning again.
    begun = 0 if checkpoint is None or checkpoint.has_env_of(rank()) else checkpoint.iteration
    return int((config.seed + (begun * num_ranks() + rank()) * num_envs) % 2**31)


def build_loggers(context: Context) -> dict[str, Logger]:
    """The loggers by name; a second one of a name has a number."""
    loggers: dict[str, Logger] = {}
    for index, component in enumerate(context.config.loggers):
        count = sum(name.partition("#")[0] == component.name for name in loggers)
        name = f"{component.name}#{count + 1}" if count else component.name
        loggers[name] = context.build(component, f"loggers[{index}]")
    return loggers


def _make_folder(
    config: ExperimentConfig, resumed: Resumed | None, lock: RunLock, run_name: str | None, log_root: Path
) -> RunFolder:
    if resumed is None:
        folder = RunFolder.create(log_root, config.experiment, run_name)
        lock.take(folder.path)
        return folder
    if resumed.iteration and (aside := set_aside_later(resumed)):
        _log.warning("later checkpoints of the run are kept as %s", ", ".join(path.name for path in aside))
    return resumed.folder


def build_algorithm(context: Context) -> Algorithm:
    """The algorithm of a config, with its policy and storage."""
    config = context.config
    algorithm: Algorithm = context.build(config.algorithm, "algorithm", policy=config.policy, storage=config.storage)
    return algorithm


def num_steps_per_env(config: ExperimentConfig) -> int:
    """T, which the runner's config gives.

    Raises:
        ConfigError: It has no such field.
    """
    steps = getattr(config.runner.config, "num_steps_per_env", None)
    if not isinstance(steps, int):
        raise ConfigError.at("runner", f"the config of '{config.runner.name}' has no field num_steps_per_env")
    return steps


def _run(session: RunSession, runner: Runner, folder: RunFolder) -> TrainingResult:
    signal_received = learn(session, runner, folder)
    stopped_by = None
    if session.stopping and session.iteration < session.total_iterations:
        stopped_by = next(filter(None, gather(signal_received)), None)
    return TrainingResult(folder.path, session.iteration, dict(session.metrics), stopped_by)


def learn(session: RunSession, runner: Runner, folder: RunFolder | None) -> signal.Signals | None:
    """Let a runner learn until its session ends: what `train` does once all is built, and a program that builds a run
    itself.

    Args:
        session: Told when the run begins and ends.
        runner: Built with it.
        folder: Of the run; None for one that leaves nothing on disk.

    Returns:
        SIGINT or SIGTERM, if this process was sent one; the run has ended after an iteration then, with a checkpoint.

    Raises:
        RslcoreError: The run cannot go on.
    """
    with stop_on_signals(session) as received:
        try:
            session.start(folder)
            _learn(session, runner)
            session.finish()
        except LostRankError as error:
            last = None if folder is None else next(reversed(folder.checkpoints().values()), None)
            advice = f"the last checkpoint is '{last}'" if last else "there is no checkpoint yet"
            raise LostRankError(f"{error}; {advice}") from error
        finally:
            session.close()
    return received[0] if received else None


def _learn(session: RunSession, runner: Runner) -> None:
    try:
        runner.learn()
    except (MemoryError, RuntimeError) as error:
        if not is_about_memory(error):
            raise
        at = f"ran out of memory in iteration {session.iteration + 1}"
        advice = "give fewer envs or steps of a rollout, smaller networks or smaller minibatches"
        raise RunError(f"the run {at} ({memory_reason(error)}); {advice}") from error
