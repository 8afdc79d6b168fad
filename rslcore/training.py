"""From a config to a trained run: builds every component by name and lets the runner loop."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import attrs

from rslcore.config import ExperimentConfig, dump_yaml, missing_requirements
from rslcore.context import Context
from rslcore.device import limited_threads, resolve_device
from rslcore.distributed import from_main, is_main, joined, rank
from rslcore.errors import CheckpointError, ConfigError, RunError
from rslcore.protocols import Algorithm, Logger, Runner
from rslcore.registry import Registry, default_registry
from rslcore.run.agreement import check_same_envs, check_same_run
from rslcore.run.checkpoint import Checkpoint, load_checkpoint
from rslcore.run.compatibility import check_plugins
from rslcore.run.folder import RunFolder
from rslcore.run.launch import Launch
from rslcore.run.session import RunSession
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
    device = resolve_device(config.device)
    with limited_threads(config.num_threads), joined(device):
        check_same_run(config, registry)
        launch = Launch(Path(log_root) / config.experiment)
        resumed = from_main(_find_resumed(resume, launch, config, registry) if is_main() else None)
        seed_everything(config.seed)  # what is built is the same on all ranks
        result = _build_and_run(config, registry, device, resumed, launch, run_name, Path(log_root), quiet)
        if is_main():
            launch.forget()
        return result


def _build_and_run(
    config: ExperimentConfig,
    registry: Registry,
    device: torch.device,
    resumed: _Resumed | None,
    launch: Launch,
    run_name: str | None,
    log_root: Path,
    quiet: bool,
) -> TrainingResult:
    seed = _env_seed(config, resumed)
    context = Context(registry, config, device, seed, num_steps_per_env(config), restoring=resumed is not None)
    text = dump_yaml(config)
    with contextlib.closing(context.build(config.env, "env")) as env:
        check_same_envs(env.spec.num_envs)
        context = attrs.evolve(context, env=env, spec=env.spec)
        algorithm = build_algorithm(context)
        loggers = _build_loggers(context) if is_main() else {}
        session = RunSession(context, algorithm, loggers, quiet or not is_main())
        if rank():
            seed_everything(config.seed + _SEEDS_OF_A_RANK * rank())
        if resumed is not None:
            session.restore(resumed.checkpoint)
        runner: Runner = context.build(config.runner, "runner", env=env, algorithm=algorithm, session=session)
        folder = from_main(_make_folder(config, resumed, run_name, log_root) if is_main() else None)
        assert folder is not None
        if is_main():
            folder.write_config(text)
            launch.note(folder.path)
        return _run(session, runner, folder)


_SEEDS_OF_A_RANK = 1_000_003
"""What the seeds of the noise of two ranks differ by: more than those of two runs are likely to."""


def _env_seed(config: ExperimentConfig, resumed: _Resumed | None) -> int:
    """The seed of the first env of this rank, so that envs are seeded alike however many ranks they are spread over."""
    num_envs = getattr(config.env.config, "num_envs", _SEEDS_OF_A_RANK)
    # A resumed run whose envs begin anew must not meet the episodes of its beginning again.
    return config.seed + rank() * num_envs + (1000 * resumed.checkpoint.iteration if resumed is not None else 0)


def _build_loggers(context: Context) -> dict[str, Logger]:
    """The loggers by name; a second one of a name has a number."""
    loggers: dict[str, Logger] = {}
    for index, component in enumerate(context.config.loggers):
        count = sum(name.partition("#")[0] == component.name for name in loggers)
        name = f"{component.name}#{count + 1}" if count else component.name
        loggers[name] = context.build(component, f"loggers[{index}]")
    return loggers


def _make_folder(config: ExperimentConfig, resumed: _Resumed | None, run_name: str | None, log_root: Path) -> RunFolder:
    if resumed is None:
        return RunFolder.create(log_root, config.experiment, run_name)
    if aside := resumed.folder.set_aside_after(resumed.checkpoint.iteration):
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


@attrs.frozen
class _Resumed:
    folder: RunFolder
    checkpoint: Checkpoint


def check_resumed(path: Path, registry: Registry) -> None:
    """See whether the plugins of a run are here, where its config cannot be read.

    Raises:
        CheckpointError: They are not; says what to do.
        RunError: There is no such run.
    """
    file = _resumed_file(path)
    check_plugins(load_checkpoint(file).history[-1], registry, f"'{file}'")


def _resumed_file(path: Path) -> Path:
    return path if path.suffix == ".pt" else RunFolder.find_resumable(path).checkpoint()


def _find_resumed(
    resume: str | os.PathLike[str] | None, launch: Launch, config: ExperimentConfig, registry: Registry
) -> _Resumed | None:
    """The run to go on with: the one that is asked for, or that processes were training which were started again."""
    if launch.is_restarted and launch.run is not None and RunFolder(launch.run).checkpoints():
        resume = launch.run
        _log.warning("the processes were started again, and go on with '%s'", resume)
    if resume is None:
        return None
    path = Path(resume)
    folder, file = RunFolder.find_resumable(path), _resumed_file(path)
    checkpoint = load_checkpoint(file)
    if checkpoint.iteration >= config.iterations:
        raise RunError(
            f"the run '{folder.path}' is at iteration {checkpoint.iteration} of {config.iterations} already; "
            f"to go on, raise the total, as in iterations={2 * checkpoint.iteration}"
        )
    misfits = [
        f"{kind} was '{checkpoint.config[kind]['name']}' and is '{getattr(config, kind).name}' now"
        for kind in ("algorithm", "policy", "runner")
        if checkpoint.config[kind]["name"] != getattr(config, kind).name
    ]
    if misfits:
        raise CheckpointError(f"the checkpoint does not fit this config: {', '.join(misfits)}")
    check_plugins(checkpoint.history[-1].among(config), registry, f"'{file}'")
    return _Resumed(folder, checkpoint)


def _run(session: RunSession, runner: Runner, folder: RunFolder) -> TrainingResult:
    with _stop_on_signals(session) as received:
        try:
            session.start(folder)
            runner.learn()
            session.finish()
        finally:
            session.close()
    stopped_by = received[0] if received and session.iteration < session.total_iterations else None
    return TrainingResult(folder.path, session.iteration, dict(session.metrics), stopped_by)


@contextlib.contextmanager
def _stop_on_signals(session: RunSession) -> Iterator[Sequence[signal.Signals]]:
    """Turn the first SIGINT or SIGTERM into a request to stop; the second one acts as it would without us."""
    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may set signal handlers
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request_stop(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        session.stop_requested = True
        if not session.quiet:
            # Written past Python's buffers, which the interrupted code may hold locked.
            os.write(2, b"\nfinishing the iteration, then saving; once more stops at once, without saving\n")
        for restored, handler in previous.items():
            signal.signal(restored, handler)

    for number in previous:
        signal.signal(number, request_stop)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
