"""What a logger promises."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rslcore.context import Context
from rslcore.protocols import ModelLogger, StatefulLogger
from rslcore.run.folder import RunFolder
from rslcore.run.session import IterationRecord, RunSession
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.values import copied, difference, expect, expect_plain_state, through_a_file
from rslcore.training import build_algorithm

METRICS = {"Train/mean_reward": 1.5, "Loss/value": 0.25, "Perf/total_fps": 1000.0}


class LoggerContract(Contract):
    """Of loggers. A logger that raises is left out of a run; here it fails."""

    kind: ClassVar[str] = "logger"

    @pytest.fixture
    def loggers(self, component: Options) -> list[Options]:
        """The component."""
        return [component]

    @pytest.fixture
    def session(self, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSession:
        """A run that has a folder, and has not begun. The working directory is another folder, an empty one."""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        session = RunSession(context, build_algorithm(context), {}, quiet=True)
        session.start(RunFolder.create(tmp_path / "logs", "contract", None))
        return session

    def test_logs_a_run(self, build: Callable[..., Any], session: RunSession) -> None:
        """Start, iterations whose metrics come and go, close; what is written lies in the run's folder.

        A `ModelLogger` is told of a checkpoint between two iterations.
        """
        logger = build()
        logger.start(session)
        logger.log(make_record(1, METRICS))
        logger.log(make_record(2, {**METRICS, "Loss/extra": 1.0}))
        if isinstance(logger, ModelLogger):
            checkpoint = session.folder.checkpoint_path(2)
            checkpoint.write_bytes(b"a checkpoint")
            logger.model_saved(checkpoint)
        logger.log(make_record(3, {"Perf/total_fps": 1000.0}))
        logger.close()
        strays = sorted(path.name for path in Path.cwd().iterdir())
        expect(
            not strays,
            f"A logger writes into the run's folder, `session.folder.path`. It wrote {strays} into the working "
            "directory.",
        )

    def test_metrics_need_not_be_finite(self, build: Callable[..., Any], session: RunSession) -> None:
        """A run that goes wrong is the one that is looked at."""
        logger = build()
        logger.start(session)
        logger.log(make_record(1, {"Train/mean_reward": math.nan, "Loss/value": math.inf}))
        logger.close()

    def test_a_run_may_end_before_its_first_iteration(self, build: Callable[..., Any], session: RunSession) -> None:
        """`close` follows `start`, and also where nothing was started."""
        logger = build()
        logger.start(session)
        logger.close()
        build().close()

    def test_building_writes_nothing(self, build: Callable[..., Any], session: RunSession) -> None:
        """A mistake that is found later leaves nothing behind."""
        before = sorted(session.folder.path.rglob("*"))
        build()
        made = sorted(set(session.folder.path.rglob("*")) - set(before)) + sorted(Path.cwd().iterdir())
        expect(not made, f"Nothing is written before `start`. Building the logger made {[path.name for path in made]}.")

    def test_state_goes_on_in_another_process(self, build: Callable[..., Any], session: RunSession) -> None:
        """A logger that has a state, a `StatefulLogger`, goes on from a checkpoint, of which it is a part."""
        logger = build()
        has = [hasattr(logger, method) for method in ("state_dict", "load_state_dict")]
        expect(
            any(has) == all(has),
            "A logger that goes on where it was has `state_dict` and `load_state_dict`. "
            f"{type(logger).__name__} has one of them; write the other.",
        )
        if not isinstance(logger, StatefulLogger):
            pytest.skip(f"{type(logger).__name__} has no state")
        logger.start(session)
        logger.log(make_record(1, METRICS))
        state = copied(logger.state_dict())
        expect_plain_state(state, "the logger")
        logger.log(make_record(2, METRICS))
        logger.close()
        session.iteration = 1  # as in a run that resumes from the checkpoint of that iteration
        other = build()
        other.load_state_dict(through_a_file(state))
        differs = difference(state, copied(other.state_dict()))
        expect(
            differs is None,
            f"`load_state_dict` is the inverse of `state_dict`. After a checkpoint, {differs}; load all that is saved.",
        )
        other.start(session)
        other.log(make_record(2, METRICS))
        other.close()


def make_record(iteration: int, metrics: dict[str, float]) -> IterationRecord:
    """An iteration of ten, as loggers see it."""
    return IterationRecord(iteration, 10, 32 * iteration, 0.5 * iteration, 5.0 - 0.5 * iteration, metrics)
