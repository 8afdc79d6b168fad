"""rslcore itself, by `rslcore.training.train`: what `rslcore train` runs, with a logger that waits for the next turn.

Timed is the whole loop: acting, stepping, looking at numbers, episode statistics, the update, and the reading of all
metrics at its end. No checkpoint falls into it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

from free_env import make_registry

from rslcore.config import config
from rslcore.context import Context
from rslcore.run.session import IterationRecord, RunSession
from rslcore.training import train as train_run
from speed.worker import Turns
from speed.workloads import Workload

EXTENSIONS = (
    "[{name: rnd, num_outputs: 16, predictor_hidden_dims: [64, 64], target_hidden_dims: [64, 64], "
    "reward_observation: next}, {name: symmetry, function: 'free_env:mirror', use_data_augmentation: true}]"
)
_turns: list[Turns] = []
"""Of this process; loggers are built by name, with a config alone."""


@config
class TurnsConfig:
    """The logger has no options."""


class TurnsLogger:
    """Says how long an iteration took, and waits for the next turn."""

    def __init__(self, options: TurnsConfig, context: Context) -> None:
        (self._turns,) = _turns

    def start(self, session: RunSession) -> None:
        """All is built."""
        self._turns.begin()

    def log(self, record: IterationRecord) -> None:
        """An iteration is done, and its metrics are read."""
        self._turns.end(record.metrics["Perf/collection_time"])

    def close(self) -> None:
        """There is nothing to close."""


def train(workload: Workload, options: Sequence[str], turns: Turns) -> None:
    """Train until there are no more turns; the options are overrides of the config."""
    _turns.append(turns)
    registry = make_registry(("logger", "turns", "speed.ours:TurnsLogger", "speed.ours:TurnsConfig"))
    overrides = [f"algorithm.extensions={EXTENSIONS}"] if workload.extensions else []
    overrides += ["loggers=[{name: turns}]", *options]
    config = workload.config(turns.device, turns.threads, overrides, registry)
    with tempfile.TemporaryDirectory() as folder:
        train_run(config, log_root=folder, quiet=True, registry=registry)
