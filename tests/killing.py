"""A run whose process is killed again and again, as a user's script would start it again, and what must be left of it.

Processes are forked from one that has imported everything, so that a start takes a fraction of a second.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import rslcore.cli
from rslcore.run.checkpoint import load_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.testing.values import difference

KEPT = 3
OVERRIDES = (
    "device=cpu",
    "num_threads=1",
    "env.num_envs=4",
    "runner.num_steps_per_env=8",
    "runner.save_interval=1",
    "policy.actor.network={name: mlp, hidden_dims: [8], normalize: true}",
    "policy.critic.network.hidden_dims=[8]",
    f"keep_checkpoints={KEPT}",
    "best_metric=Train/mean_reward",
    "loggers=[{name: tensorboard}]",
)
"""A run of CartPole that writes as often as it can."""

_WRITTEN = {"model": "a checkpoint", "model_best": "the best checkpoint"}
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        "rslcore.cli.train",
        "rslcore.training",
        "torch.utils.tensorboard",
        *(f"rslcore_{name}.plugin" for name in ("gymnasium", "loggers", "networks", "ppo", "runners")),
        "rslcore_gymnasium.env",
        "rslcore_loggers.tensorboard",
        "rslcore_ppo.ppo",
        "rslcore_actor_critic.policy",
        "rslcore_distributions.categorical",
        "rslcore_rollout.storage",
        "rslcore_runners.on_policy",
    ]
)


@attrs.frozen
class Moment:
    """When a process kills itself: before it does something to a file, which Python announces to audit hooks.

    Attributes:
        event: Pattern of an event in Python's table of audit events, such as `os.rename`.
        files: Pattern found in the event's arguments, separated by blanks.
        count: How often that happens; the last time kills.
    """

    event: str
    files: str
    count: int = 1


def start(
    arguments: list[str], output: Path, moment: Moment | None = None, own_interpreter: bool = False
) -> multiprocessing.Process:
    """Start `rslcore` with arguments.

    Args:
        arguments: Of the command line.
        output: File that what it prints is appended to.
        moment: When it kills itself.
        own_interpreter: Whether it starts as from a shell, importing all that it needs.
    """
    process = _PROCESSES.Process(target=_run, args=(arguments, output, moment, own_interpreter), daemon=True)
    process.start()
    return process


def _run(arguments, output, moment, own_interpreter):
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if own_interpreter:
        os.execv(sys.executable, [sys.executable, "-m", "rslcore", *arguments])
    if moment is not None:
        sys.addaudithook(_killer(moment))
    sys.argv = ["rslcore", *arguments]
    rslcore.cli.main()


def _killer(moment):
    left = moment.count

    def hook(event, arguments):
        nonlocal left
        if re.fullmatch(moment.event, event) and re.search(moment.files, " ".join(map(str, arguments))):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


class KilledRun:
    """A run that is begun, killed, and gone on with until it is done; each life is watched from outside.

    Args:
        log_root: Of the run.
        iterations: In all.
    """

    def __init__(self, log_root: Path, iterations: int) -> None:
        self.log_root = log_root
        self.iterations = iterations
        self.num_resumed = 0
        self.is_complete = False
        self._output = log_root.with_name(f"{log_root.name}.txt")
        self._seen = 0

    @property
    def folder(self) -> RunFolder | None:
        """The run, once it has a config."""
        runs = sorted(config.parent for config in self.log_root.glob("cartpole/*/config.yaml"))
        return RunFolder(runs[-1]) if runs else None

    def live(
        self,
        is_time: Callable[[int], bool] = lambda process_id: False,
        moment: Moment | None = None,
        own_interpreter: bool = False,
    ) -> str | None:
        """Start the run or go on with it, until it is killed or done.

        Args:
            is_time: Whether to kill it now; asked all the time, with its process number.
            moment: When it kills itself.
            own_interpreter: Whether it starts as from a shell.

        Returns:
            Where the kill fell; None if the run is done.
        """
        before = self._latest()
        process = start(self._arguments(), self._output, moment, own_interpreter)
        while process.is_alive():
            self._seen = max(self._seen, self._latest())
            if is_time(process.pid):
                process.kill()
                process.join()
            time.sleep(0.001)
        was_killed = process.exitcode == -signal.SIGKILL
        assert was_killed or process.exitcode == 0, f"exit code {process.exitcode}:\n{self._output.read_text()}"
        self.is_complete = self._latest() == self.iterations
        self._check(process.pid, was_killed, has_saved=self._seen > before)
        return self._where(process.pid, has_saved=self._latest() > before) if was_killed else None

    def _arguments(self):
        if self.folder is None:
            return ["train", "cartpole", *OVERRIDES, f"iterations={self.iterations}", f"--log-root={self.log_root}"]
        self.num_resumed += 1
        return ["train", "--resume", str(self.log_root / "cartpole"), f"--log-root={self.log_root}"]

    def _latest(self):
        return max(self.folder.checkpoints(), default=0) if self.folder is not None else 0

    def _check(self, process_id, was_killed, has_saved):
        """Every file is whole, what was there is not lost, and what earlier processes left behind is gone."""
        assert self._latest() >= self._seen, f"checkpoint {self._seen} is lost"
        if self.folder is None:
            return
        for iteration, path in self.folder.checkpoints().items():
            assert load_checkpoint(path).iteration == iteration
        best = self.folder.path / "model_best.pt"
        if best.exists():
            load_checkpoint(best)
        if has_saved:
            own = f".{process_id}.tmp"
            left = [path.name for path in self.folder.path.glob(".*.tmp")]
            assert [name for name in left if not (was_killed and name.endswith(own))] == []

    def _where(self, process_id, has_saved):
        """Where the kill fell, told by what it left."""
        if self.folder is None:
            return "before the run had a config"
        for path in self.folder.path.glob(f".*.{process_id}.tmp"):
            what = re.match(r"\.(config|plugins|model_best|model)", path.name)[1]
            return f"while {_WRITTEN.get(what, what)} was written"
        if not self.folder.checkpoints():
            return "before the first checkpoint"
        if not has_saved:
            return "before the next checkpoint"
        if self._is_best_unmarked():
            return "before the best checkpoint was marked"
        if len(self.folder.checkpoints()) > KEPT:
            return "before an old checkpoint was deleted"
        return "between two checkpoints"

    def _is_best_unmarked(self):
        best = self.folder.path / "model_best.pt"
        marked = load_checkpoint(best).iteration if best.exists() else None
        stated = load_checkpoint(self.folder.checkpoint()).progress["best"]
        return stated is not None and stated["iteration"] != marked


def compare(run: RunFolder, other: RunFolder) -> None:
    """Raise AssertionError unless two runs have left the same: checkpoints, the best one, TensorBoard's scalars.

    A run whose process was killed after its last checkpoint may have an old one more.
    """
    assert list(run.checkpoints())[-KEPT:] == list(other.checkpoints())
    names = [*(path.name for path in other.checkpoints().values()), "model_best.pt"]
    for name in names:
        gap = difference(*(_timeless(load_checkpoint(each.path / name)) for each in (run, other)))
        assert gap is None, f"{name}: {gap}"
    scalars = [_scalars(each.path) for each in (run, other)]
    assert scalars[0] == scalars[1]
    assert [step for step, _ in scalars[0]["Perf/total_steps"]] == list(range(1, max(run.checkpoints()) + 1))


def _timeless(checkpoint):
    progress = {key: value for key, value in checkpoint.progress.items() if key != "elapsed"}
    return {
        "iteration": checkpoint.iteration,
        "algorithm": checkpoint.algorithm,
        "ranks": list(checkpoint.ranks),
        "progress": progress,
    }


def _scalars(path):
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0})
    accumulator.Reload()
    timed = ("Perf/total_fps", "Perf/collection_time", "Perf/learning_time")
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
        if tag not in timed and not tag.endswith("/time")
    }
