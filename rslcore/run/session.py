"""A run in memory: what the runner reports to, so that a loop is only a loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from rslcore.config import ExperimentConfig, unstructure
from rslcore.errors import RunError
from rslcore.extension_list import ExtensionList
from rslcore.metrics import to_floats
from rslcore.protocols import Algorithm, Logger
from rslcore.registry import Registry
from rslcore.run.checkpoint import Checkpoint, save_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.provenance import Provenance, continued, dump_history
from rslcore.seeding import get_rng_state, set_rng_state
from rslcore.specs import EnvSpec

_log = logging.getLogger(__name__)


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
        config: The run's config.
        registry: For run events and the record of what the run is made with.
        algorithm: Whose state is saved.
        env_spec: Saved with it.
        loggers: Who receives the metrics.
        quiet: Whether nothing is printed.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        registry: Registry,
        algorithm: Algorithm,
        env_spec: EnvSpec,
        loggers: Sequence[Logger],
        quiet: bool = False,
    ) -> None:
        self.config = config
        self.quiet = quiet
        self.iteration = 0
        self.total_iterations = config.iterations
        self.total_steps = 0
        self.elapsed = 0.0
        self.stop_requested = False
        self.metrics: Mapping[str, float] = {}
        self._folder: RunFolder | None = None
        self._algorithm = algorithm
        self._env_spec = env_spec
        self._manager = registry.manager
        self._silenced: set[object] = set()
        self._loggers = list(loggers)
        self._history: tuple[Provenance, ...] = (Provenance.of(config, registry),)
        self._runner_state: Mapping[str, Any] = {}
        self._first_iteration = 0
        self._resumed_elapsed = 0.0
        self._clock = time.perf_counter()

    @property
    def runner_state(self) -> Mapping[str, Any]:
        """What the runner saved with the checkpoint that the run resumes from; empty for a new run."""
        return self._runner_state

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where a checkpoint stopped. The algorithm's state has been loaded already."""
        self.iteration = self._first_iteration = checkpoint.iteration
        self.total_steps = checkpoint.progress["total_steps"]
        self.elapsed = self._resumed_elapsed = checkpoint.progress["elapsed"]
        self._runner_state = checkpoint.progress["runner"]
        (now,) = self._history
        self._history = continued(checkpoint.history, attrs.evolve(now, since_iteration=checkpoint.iteration))
        set_rng_state(checkpoint.rng)

    @property
    def folder(self) -> RunFolder:
        """The run's folder, once the run has begun."""
        assert self._folder is not None, "a run has no folder before it begins"
        return self._folder

    def start(self, folder: RunFolder) -> None:
        """Tell loggers and plugins that the run begins, in this folder, and note there what it is made with.

        The clock starts.
        """
        self._folder = folder
        folder.write_plugins(dump_history(self._history))
        for logger in list(self._loggers):
            self._tell(logger, "start", self)
        self._emit("rslcore_run_started")
        self._clock = time.perf_counter() - self.elapsed

    def finish_iteration(self, metrics: Mapping[str, torch.Tensor | float], num_steps: int) -> None:
        """Count an iteration and report its metrics.

        Args:
            metrics: Scalars; tensors are read here, in one transfer.
            num_steps: Env steps of the iteration, over all envs.

        Raises:
            RunError: A loss is not finite; what has been learned in this iteration is lost, the checkpoints are not.
        """
        self.iteration += 1
        self.total_steps += num_steps
        read = to_floats(metrics)
        self._refuse_infinite_losses(read)
        before, self.elapsed = self.elapsed, time.perf_counter() - self._clock
        self.metrics = {**read, "Perf/total_fps": num_steps / max(self.elapsed - before, 1e-9)}
        record = IterationRecord(
            self.iteration, self.total_iterations, self.total_steps, self.elapsed, self._seconds_left(), self.metrics
        )
        for logger in list(self._loggers):
            self._tell(logger, "log", record)
        self._emit("rslcore_iteration_finished", record=record)

    def _refuse_infinite_losses(self, metrics: Mapping[str, float]) -> None:
        extensions = getattr(self._algorithm, "extensions", None)
        owners = extensions if isinstance(extensions, ExtensionList) else None
        bad = {name: value for name, value in metrics.items() if name.startswith("Loss/") and not math.isfinite(value)}
        if bad:
            found = []
            for name, value in bad.items():
                owner = owners and owners.owner_of_loss(name.removeprefix("Loss/"))
                found.append(f"{name} is {value}" + (f" (a loss of extension '{owner}')" if owner else ""))
            found.sort(key=lambda text: "extension" not in text)  # what others may have caught it from comes first
            if not math.isfinite(metrics.get("Train/mean_shaped_reward", 0.0)):
                found.insert(0, "the rewards that extensions have shaped are not finite")
            last = next(reversed(self.folder.checkpoints().values()), None)
            advice = f"the last checkpoint is {last}" if last else "there is no checkpoint yet"
            raise RunError(f"iteration {self.iteration}: {', '.join(found)}; the run ends here, {advice}")

    def save_checkpoint(self, runner_state: Mapping[str, Any]) -> Path:
        """Write the checkpoint of the current iteration.

        Args:
            runner_state: What the runner wants back in `runner_state` when the run is resumed.
        """
        path = self.folder.checkpoint_path(self.iteration)
        progress = {"total_steps": self.total_steps, "elapsed": self.elapsed, "runner": dict(runner_state)}
        save_checkpoint(
            path,
            Checkpoint(
                iteration=self.iteration,
                config=unstructure(self.config),
                env_spec=self._env_spec,
                history=self._history,
                algorithm=self._algorithm.state_dict(),
                progress=progress,
                rng=get_rng_state(),
            ),
        )
        self._emit("rslcore_checkpoint_saved", path=path)
        return path

    def finish(self) -> None:
        """Tell plugins that the run ended well."""
        self._emit("rslcore_run_finished")

    def close(self) -> None:
        """Close the loggers, however the run ended."""
        for logger in list(self._loggers):
            self._tell(logger, "close")

    def _seconds_left(self) -> float:
        per_iteration = (self.elapsed - self._resumed_elapsed) / (self.iteration - self._first_iteration)
        return per_iteration * (self.total_iterations - self.iteration)

    def _emit(self, event: str, **arguments: Any) -> None:
        """Call the plugins that listen to an event, one by one; one that raises is warned about, the run goes on."""
        plugins = self._manager.get_plugins()
        for implementation in getattr(self._manager.hook, event).get_hookimpls():
            if implementation.plugin in self._silenced:
                continue
            caller = self._manager.subset_hook_caller(event, plugins - {implementation.plugin})
            try:
                caller(session=self, **arguments)
            except Exception as error:
                name = implementation.plugin_name
                _log.warning(
                    "plugin %s failed in %s and is not told of events any more: %s: %s",
                    name,
                    event,
                    type(error).__name__,
                    error,
                )
                self._silenced.add(implementation.plugin)

    def _tell(self, logger: Logger, method: str, *arguments: Any) -> None:
        """Call a logger; one that raises is left out from then on."""
        try:
            getattr(logger, method)(*arguments)
        except Exception as error:
            self._loggers.remove(logger)
            name = type(logger).__name__
            _log.warning("logger %s failed and is left out from now on: %s: %s", name, type(error).__name__, error)
