"""A run in memory: what the runner reports to, so that a loop is only a loop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from tensordict import TensorDict

from rslcore.config import unstructure
from rslcore.context import Context
from rslcore.distributed import gather, gather_on_main, is_main, num_ranks
from rslcore.metrics import to_floats
from rslcore.protocols import Algorithm, Logger
from rslcore.run.agreement import check_same_modules
from rslcore.run.checkpoint import Checkpoint
from rslcore.run.code_state import record_code_state
from rslcore.run.folder import RunFolder
from rslcore.run.incident import Incidents
from rslcore.run.keeper import Best, CheckpointKeeper, Keeper
from rslcore.run.listeners import Listeners
from rslcore.run.local_state import LocalState, restore_local_state, save_local_state
from rslcore.run.provenance import Provenance, continued, dump_history
from rslcore.seeding import set_rng_state
from rslcore.watch.evidence import KeptSteps, saved_columns
from rslcore.watch.update import UpdateWatch


@attrs.frozen
class IterationRecord:
    """An iteration, as loggers and plugins see it.

    Attributes:
        iteration: Number of iterations done, this one included.
        total_iterations: Number at which the run ends.
        total_steps: Env steps of the whole run, over all envs.
        elapsed: Seconds of training, over all resumptions.
        seconds_left: Estimated seconds until the run ends.
        metrics: Scalars by name, `section/name`.
    """

    iteration: int
    total_iterations: int
    total_steps: int
    elapsed: float
    seconds_left: float
    metrics: Mapping[str, float]


class RunSession:
    """Logs, saves and counts for a runner.

    Args:
        context: With the env.
        algorithm: Whose state is saved.
        loggers: Who receives the metrics, by name; on rank 0 only.
        quiet: Whether nothing is printed.
        keeper: Decides when the run is saved, and saves it; by default as the config says.

    Attributes:
        total_iterations: Number of iterations at which the run ends.
        stop_requested: To be set by whoever wants the run to end after this iteration, on any rank.
        incidents: To which is reported if numbers go wrong.
        kept_steps: The steps of the rollout, to be saved then; None if the runner keeps none.
        stopping: Whether it ends after this iteration; the same on all ranks, decided when an iteration is finished.
    """

    def __init__(
        self,
        context: Context,
        algorithm: Algorithm,
        loggers: Mapping[str, Logger],
        quiet: bool = False,
        keeper: Keeper | None = None,
    ) -> None:
        assert context.env is not None, "a session is of a run, which has an env"
        self.config = config = context.config
        self.quiet = quiet
        self.iteration = 0
        self.total_iterations = config.iterations
        self.total_steps = 0
        self.elapsed = 0.0
        self.stop_requested = False
        self.stopping = False
        self.metrics: Mapping[str, float] = {}
        self._folder: RunFolder | None = None
        self._algorithm = algorithm
        self._env = context.env
        self._device = context.device
        self._registry = context.registry
        self._listeners = Listeners(loggers, context.registry)
        self._history: tuple[Provenance, ...] = (Provenance.of(config, context.registry),)
        self._runner_state: Mapping[str, Any] = {}
        self._local = LocalState()
        self._keeper: Keeper = keeper if keeper is not None else CheckpointKeeper(config)
        self.incidents = Incidents()
        self.kept_steps: KeptSteps | None = None
        self._updates = UpdateWatch(algorithm, self.incidents, config.on_bad_numbers == "stop")
        self._first_iteration = 0
        self._resumed_elapsed = 0.0
        self._clock = time.perf_counter()

    def restore(self, checkpoint: Checkpoint, *, with_envs: bool = True, with_loggers: bool = True) -> None:
        """Go on where a checkpoint stopped.

        Args:
            checkpoint: Of the same algorithm.
            with_envs: Whether the envs go on too, if they can, and what belongs to their episodes; a program that has
                envs at hand goes on with those.
            with_loggers: Whether loggers go on with what they have of that run; otherwise they begin one of their own.

        Raises:
            CheckpointError: The checkpoint does not fit the algorithm.
        """
        self._algorithm.load_state_dict(checkpoint.algorithm)
        self.iteration = self._first_iteration = checkpoint.iteration
        self.total_steps = checkpoint.progress["total_steps"]
        self.elapsed = self._resumed_elapsed = checkpoint.progress["elapsed"]
        self._keeper.restore(checkpoint)
        self._runner_state = checkpoint.progress["runner"]
        now = self._history[-1]
        self._history = continued(checkpoint.history, attrs.evolve(now, since_iteration=checkpoint.iteration))
        if with_loggers:
            self._listeners.load_logger_states(checkpoint.progress.get("loggers", {}))
        if with_envs:
            self._local = restore_local_state(
                checkpoint, self._algorithm, self._env, self.config.env.name, self._device
            )

    def go_on(self, iterations: int, loggers: Mapping[str, Logger], obs: TensorDict) -> None:
        """Prepare for more iterations in the hands of a program that learns a run in several pieces; `start` begins.

        Args:
            iterations: How many more.
            loggers: Who receives the metrics, as at the beginning; they go on where those before have ended.
            obs: Observations `[N, ...]` to act on first, of the running episodes.
        """
        states = self._listeners.logger_states()
        self._listeners = Listeners(loggers, self._registry)
        self._listeners.load_logger_states(states)
        self.total_iterations = self.iteration + iterations
        self.stop_requested = self.stopping = False
        self._first_iteration, self._resumed_elapsed = self.iteration, self.elapsed
        self._local = LocalState(obs=obs, runner=self._local.runner)

    def first_observations(self) -> TensorDict:
        """Observations `[N, ...]` to act on first: of the episodes that a resumed run goes on with, or of new ones."""
        return self._env.reset() if self._local.obs is None else self._local.obs

    @property
    def goes_on(self) -> bool:
        """Whether the envs go on with the episodes that were running."""
        return self._local.obs is not None

    @property
    def runner_state(self) -> Mapping[str, Any]:
        """What the runner saved with the checkpoint that the run resumes from; empty for a new run."""
        return self._runner_state

    @property
    def local_runner_state(self) -> Mapping[str, Any]:
        """What it saved of the running episodes of this process; empty where the envs begin new ones."""
        return self._local.runner

    @property
    def folder(self) -> RunFolder:
        """The run's folder, once the run has begun."""
        assert self._folder is not None, "a run has no folder before it begins"
        return self._folder

    def start(self, folder: RunFolder | None) -> None:
        """Tell loggers and plugins that the run begins, in this folder, and note there what it is made with: plugins,
        and the state of the code.

        The clock starts. A run without a folder, in the hands of a program, leaves nothing on disk.
        """
        self._folder = self.incidents.folder = folder
        if is_main() and folder is not None:
            folder.clean()
            self._keeper.start(folder)
            folder.write_plugins(dump_history(self._history))
            record_code_state(folder.path, self.config.repositories, self.iteration)
            self._listeners.tell("start", self)
            self._listeners.emit("rslcore_run_started", session=self)
        if self._local.rng is not None:
            set_rng_state(self._local.rng, self._device)  # the last thing, since building draws numbers too
        self._clock = time.perf_counter() - self.elapsed

    def finish_iteration(self, metrics: Mapping[str, torch.Tensor | float], num_steps: int) -> None:
        """Count an iteration and report its metrics.

        Args:
            metrics: Scalars; tensors are read here, in one transfer.
            num_steps: Env steps of the iteration, over all envs of this process.

        Raises:
            RunError: Numbers of the update have gone wrong: a loss, a gradient or a parameter is not finite, or the
                policy has stopped exploring. What has been learned in this iteration is lost, the checkpoints are not.
        """
        self.iteration += 1
        self.total_steps += num_steps * num_ranks()
        ranks = gather(to_floats({**metrics, **self._updates.scalars()}))
        read = self._updates.judge(self.iteration, ranks, self._evidence)
        before, self.elapsed = self.elapsed, time.perf_counter() - self._clock
        total_fps = num_steps * num_ranks() / max(self.elapsed - before, 1e-9)
        self.metrics = {**read, "Perf/total_fps": total_fps}
        record = IterationRecord(
            self.iteration, self.total_iterations, self.total_steps, self.elapsed, self._seconds_left(), self.metrics
        )
        if is_main():
            self._listeners.tell("log", record)
            self._listeners.emit("rslcore_iteration_finished", session=self, record=record)
        self.stopping = any(gather(self.stop_requested))  # after the listeners, which may ask for it

    def _evidence(self) -> dict[str, Any]:
        """What is saved of an iteration whose update went wrong."""
        steps = {} if self.kept_steps is None else self.kept_steps.state_dict()
        return {**steps, "columns": saved_columns(self._algorithm)}

    def is_checkpoint_due(self, interval: int) -> bool:
        """Whether the runner is to call `save_checkpoint` after this iteration, as it is after the last one.

        Args:
            interval: Iterations between two checkpoints.
        """
        is_last = self.stopping or self.iteration == self.total_iterations
        return is_last or self._keeper.is_due(self.iteration, interval)

    def save_checkpoint(
        self, obs: TensorDict, runner_state: Mapping[str, Any], local_runner_state: Mapping[str, Any]
    ) -> None:
        """Write the checkpoint of the current iteration; if that fails, say so and go on.

        Args:
            obs: Observations `[N, ...]` that are acted on next.
            runner_state: What the runner wants back in `runner_state` when the run is resumed, the same on all ranks.
            local_runner_state: What it wants back in `local_runner_state`.

        Raises:
            RankError: The ranks no longer have the same modules.
        """
        self._runner_state, self._local = runner_state, LocalState(obs=obs, runner=local_runner_state)
        best = self._keeper.best_with(self.iteration, self.metrics) if is_main() else None
        checkpoint = self.checkpoint(best)
        if checkpoint is None:
            return
        path = self._keeper.write(checkpoint, best)
        if path is not None:
            self.model_saved(path)
            self._listeners.emit("rslcore_checkpoint_saved", session=self, path=path)

    def checkpoint(self, best: Best | None = None) -> Checkpoint | None:
        """The run as it is, on rank 0; None on others.

        Args:
            best: Where it was best.

        Raises:
            RankError: The ranks no longer have the same modules.
        """
        algorithm = self._algorithm.state_dict()
        check_same_modules(algorithm)
        obs, runner = self._local.obs, self._local.runner
        local = {} if obs is None else save_local_state(self._algorithm, self._env, obs, runner, self._device)
        ranks = gather_on_main(local)
        if not is_main():
            return None
        progress = {
            "total_steps": self.total_steps,
            "elapsed": self.elapsed,
            "runner": dict(self._runner_state),
            "best": best and attrs.asdict(best),
            "loggers": self._listeners.logger_states(),
        }
        return Checkpoint(
            iteration=self.iteration,
            config=unstructure(self.config),
            env_spec=self._env.spec,
            history=self._history,
            algorithm=algorithm,
            progress=progress,
            ranks=tuple(ranks),
        )

    def model_saved(self, path: Path) -> None:
        """Tell the loggers of a file that holds the policy, such as an exported one; of checkpoints they are told."""
        self._listeners.model_saved(path)

    def finish(self) -> None:
        """Tell plugins that the run ended well.

        Raises:
            CheckpointError: What it has learned last could not be saved where it belongs.
        """
        self._keeper.finish()
        if is_main():
            self._listeners.emit("rslcore_run_finished", session=self)

    def close(self) -> None:
        """Close the loggers, however the run ended."""
        self._listeners.tell("close")

    def _seconds_left(self) -> float:
        per_iteration = (self.elapsed - self._resumed_elapsed) / (self.iteration - self._first_iteration)
        return per_iteration * (self.total_iterations - self.iteration)
