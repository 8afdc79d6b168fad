"""Runs that are stopped and gone on with, and how they are compared with ones that never stopped."""

from __future__ import annotations

import attrs

from rslcore.registry import Registry, hookimpl
from rslcore.run.checkpoint import load_checkpoint
from rslcore.testing.values import copied, difference
from rslcore.training import train


class Recorder:
    """Notes what loggers are told of each iteration, times left out, and acts on it."""

    def __init__(self, on_iteration):
        self.told = {}
        self._on_iteration = on_iteration

    @hookimpl
    def rslcore_iteration_finished(self, session, record):
        metrics = {name: value for name, value in record.metrics.items() if not name.startswith("Perf/")}
        self.told[record.iteration] = {**metrics, "total_steps": record.total_steps}
        self._on_iteration(session)


@attrs.frozen
class Recorded:
    """A run that has ended: its result, what was told of each iteration, and its last checkpoint."""

    result: object
    told: dict
    checkpoint: object

    @property
    def path(self):
        return self.result.path

    @property
    def state(self):
        """All that the checkpoint holds of the training; of its times, nothing."""
        checkpoint = self.checkpoint
        progress = {name: value for name, value in checkpoint.progress.items() if name != "elapsed"}
        return copied({"algorithm": checkpoint.algorithm, "ranks": checkpoint.ranks, "progress": progress})


def run(config, log_root, resume=None, on_iteration=lambda session: None):
    """Train, and keep all that is compared."""
    recorder, registry = Recorder(on_iteration), Registry.discover()
    registry.manager.register(recorder)
    result = train(config, log_root=log_root, quiet=True, resume=resume, registry=registry)
    return Recorded(result, recorder.told, load_checkpoint(result.path / f"model_{result.iteration}.pt"))


def assert_same(whole, *parts):
    """Fail unless runs that went on from one another are, to the bit, the run that never stopped."""
    told = {iteration: metrics for part in parts for iteration, metrics in part.told.items()}
    assert sorted(told) == sorted(whole.told)
    assert difference(whole.told, told) is None
    assert difference(whole.state, parts[-1].state) is None
