"""What a runner promises.

Legend: N envs, T steps of a rollout, A actions.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.config import ExperimentConfig, evolve
from rslcore.context import Context
from rslcore.errors import RunError
from rslcore.protocols import Algorithm, EnvStep
from rslcore.registry import Registry
from rslcore.run.checkpoint import load_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.session import RunSession
from rslcore.testing.contracts.algorithm import expect_trains
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.driving import make_env
from rslcore.testing.values import difference, expect
from rslcore.training import TrainingResult, build_algorithm, train
from rslcore.watch.numbers import float_groups

NUM_ITERATIONS = 3


class RunnerContract(Contract):
    """Of runners: the loop around an algorithm, which here writes down what it is asked."""

    kind: ClassVar[str] = "runner"

    @pytest.fixture
    def runner(self, component: Options) -> Options:
        """The component."""
        return component

    @pytest.fixture
    def loop(self, context: Context, tmp_path: Path) -> Loop:
        """A run of three iterations that has not begun."""
        return Loop(context, tmp_path)

    @pytest.fixture
    def parts(self, loop: Loop) -> dict[str, Any]:
        """A runner is given env, algorithm and session."""
        return {"env": loop.env, "algorithm": loop.algorithm, "session": loop.session}

    def test_says_how_long_a_rollout_is(self, component: Options, registry: Registry) -> None:
        """Its config has `num_steps_per_env`."""
        steps = getattr(self._structured(component, registry).config, "num_steps_per_env", None)
        expect(
            isinstance(steps, int) and steps > 0,
            "The config of a runner has a field `num_steps_per_env`, the T of a rollout, which storages need. It has "
            f"{steps!r}; add it with `option(24, ..., Range(1))`.",
        )

    def test_asks_the_algorithm_in_order(self, build: Callable[..., Any], loop: Loop, context: Context) -> None:
        """T times act and process_env_step, under its context, then update; every iteration."""
        build().learn()
        calls = [name for name in loop.algorithm.calls if name != "train_mode"]
        one = ["start_iteration", *["act", "process_env_step"] * context.num_steps_per_env, "update"]
        expect(
            calls == one * NUM_ITERATIONS,
            f"An iteration is start_iteration, {context.num_steps_per_env} times act and process_env_step, and update. "
            f"{NUM_ITERATIONS} iterations were {_shortened(calls)}.",
        )
        expect("train_mode" in loop.algorithm.calls, "A runner puts the algorithm in training mode. It did not.")
        expect(
            loop.algorithm.under_context == {"act", "process_env_step"},
            "A rollout, and nothing else, is collected under `rollout_context()`. Under it were "
            f"{sorted(loop.algorithm.under_context)}.",
        )
        expect(loop.algorithm.iterations == list(range(NUM_ITERATIONS)), "Iterations are counted from 0. They are not.")
        expect(loop.algorithm.seen_wrong == 0, "`act` and `update` are given what the env gave last. They were not.")

    def test_reports_and_saves(self, build: Callable[..., Any], loop: Loop, context: Context) -> None:
        """Every iteration is finished through the session, and the last one is saved."""
        build().learn()
        session = loop.session
        expect(
            session.iteration == NUM_ITERATIONS,
            f"A runner trains to `session.total_iterations`, {NUM_ITERATIONS}, with `session.finish_iteration`. It "
            f"stopped at {session.iteration}.",
        )
        steps = NUM_ITERATIONS * context.num_steps_per_env * context.env_spec.num_envs
        expect(
            session.total_steps == steps,
            f"`finish_iteration` is told the env steps over all envs, {steps} in all. It was told "
            f"{session.total_steps}.",
        )
        expect("Loss/fake" in session.metrics, "A runner reports what `update` returned. 'Loss/fake' was not there.")
        expect(
            session.folder.checkpoint_path(NUM_ITERATIONS).is_file(),
            "The last iteration is saved, with `session.save_checkpoint`. There is no checkpoint of it.",
        )

    def test_stops_when_it_is_asked_to(self, build: Callable[..., Any], loop: Loop) -> None:
        """After the current iteration, with a checkpoint."""
        loop.algorithm.stop_at = (1, loop.session)
        build().learn()
        expect(
            loop.session.iteration == 2,
            "With `session.stop_requested` a runner finishes the iteration and ends. Asked in the second one, it ended "
            f"after {loop.session.iteration}.",
        )
        expect(
            loop.session.folder.checkpoint_path(2).is_file(),
            "A run that is asked to stop is saved. There is no checkpoint.",
        )

    def test_goes_on_where_it_stopped(self, context: Context, registry: Registry, tmp_path: Path) -> None:
        """With the observations and the statistics of the episodes that were running, in an env that can be saved."""
        gap = _difference_of_resumed(context.config, registry, tmp_path)
        expect(
            gap is None,
            "A run that was stopped and resumed is the one that never stopped. The two ended differently: "
            f"{gap}; begin with `session.first_observations()`, and give `save_checkpoint` the latest ones and the "
            "state of all that the runner counts.",
        )

    def test_goes_on_after_a_bad_number(
        self, loop: Loop, context: Context, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the last step before a run that skips it was stopped: the next row is no transition either."""
        config = evolve(context.config, on_bad_numbers="skip")
        groups = float_groups(context.env_spec)
        num_steps = 0
        step = type(loop.env).step

        def give_one_nan(env: Any, actions: Tensor) -> EnvStep:
            nonlocal num_steps
            num_steps += 1
            given = step(env, actions)
            if num_steps == config.iterations * context.num_steps_per_env:
                given.obs = given.obs.clone()
                given.obs[groups[0]][0] = math.nan
            return given

        def begin() -> None:
            nonlocal num_steps
            num_steps = 0

        monkeypatch.setattr(type(loop.env), "step", give_one_nan)
        gap = _difference_of_resumed(config, registry, tmp_path, begin) if groups else None
        expect(
            gap is None,
            "A run that skips bad numbers, and was stopped after one and resumed, is the one that never stopped. The "
            f"two ended differently: {gap}; save `watch.local_state_dict()` with what the runner has of the "
            "running episodes, and give it back to `watch.load_local_state_dict` after `watch.start`.",
        )

    def test_finds_numbers_that_go_wrong(
        self, build: Callable[..., Any], loop: Loop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A reward that is not a number ends the run before anything is learned from it."""
        step = loop.env.step

        def give_nan(actions: Tensor) -> EnvStep:
            given = step(actions)
            return attrs.evolve(given, rewards=torch.full_like(given.rewards, math.nan))

        monkeypatch.setattr(loop.env, "step", give_nan)
        message = ""
        try:
            build().learn()
        except RunError as error:
            message = str(error)
        expect(
            message.startswith("iteration 1: rewards are nan in ") and "update" not in loop.algorithm.calls,
            "A runner looks at what the env gives, with `rslcore.watch.Watch`, so that a run ends before it learns "
            f"from numbers that are not finite. With rewards of NaN it ended with {message!r}, after "
            f"{loop.algorithm.calls.count('update')} updates.",
        )

    def test_same_seed_trains_the_same(self, context: Context, registry: Registry, tmp_path: Path) -> None:
        """Two runs of one seed give the same metrics, but for times."""
        runs = [
            train(context.config, log_root=tmp_path / name, quiet=True, registry=registry).metrics
            for name in ("a", "b")
        ]
        first, second = ({name: value for name, value in run.items() if not name.startswith("Perf/")} for run in runs)
        expect(first == second, f"Two runs of one seed are equal. Metrics were {first} and {second}.")

    def test_trains_and_resumes(self, context: Context, registry: Registry, tmp_path: Path) -> None:
        """With a real algorithm."""
        expect_trains(context, registry, tmp_path)


def _difference_of_resumed(
    config: ExperimentConfig,
    registry: Registry,
    folder: Path,
    begin: Callable[[], None] = lambda: None,
) -> str | None:
    """How a run of twice as many iterations, and one that was stopped half-way and resumed, end differently.

    `begin` is called before each of the two. None if they end as one, or if the env cannot be saved.
    """

    def train_for(iterations: int, **options: Any) -> TrainingResult:
        return train(evolve(config, iterations=iterations), quiet=True, registry=registry, **options)

    begin()
    whole = train_for(2 * config.iterations, log_root=folder / "whole")
    begin()
    stopped = train_for(config.iterations, log_root=folder / "stopped")
    resumed = train_for(2 * config.iterations, resume=stopped.path)
    first, second = _last_state(whole), _last_state(resumed)
    if any(rank["env"] is None for rank in first["ranks"]):
        return None
    return difference(first, second)


def _last_state(result: TrainingResult) -> dict[str, Any]:
    """What the last checkpoint of a run holds of its training, without times."""
    checkpoint = load_checkpoint(result.path / f"model_{result.iteration}.pt")
    progress = {name: value for name, value in checkpoint.progress.items() if name != "elapsed"}
    return {"algorithm": checkpoint.algorithm, "ranks": list(checkpoint.ranks), "progress": progress}


class Loop:
    """An env, an algorithm that writes down what it is asked, and a session, for a runner.

    Args:
        context: Of the run.
        folder: Where its folder is made.
    """

    def __init__(self, context: Context, folder: Path) -> None:
        self.env = make_env(context)
        self.algorithm = RecordingAlgorithm(build_algorithm(context))
        context = evolve(context, env=self.env, config=evolve(context.config, iterations=NUM_ITERATIONS))
        self.session = RunSession(context, self.algorithm, {}, quiet=True)
        self.session.start(RunFolder.create(folder, "contract", None))


class RecordingAlgorithm:
    """Does what another algorithm does, and writes down what it is asked.

    Args:
        algorithm: The other one.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self.calls: list[str] = []
        self.under_context: set[str] = set()
        self.iterations: list[int] = []
        self.seen_wrong = 0
        self.stop_at: tuple[int, RunSession] | None = None
        self._inside = False
        self._latest: TensorDict | None = None

    def start_iteration(self, iteration: int, total: int) -> None:
        """Write down which."""
        self._note("start_iteration")
        self.iterations.append(iteration)
        if self.stop_at is not None and self.stop_at[0] == iteration:
            self.stop_at[1].stop_requested = True
        self._algorithm.start_iteration(iteration, total)

    def act(self, obs: TensorDict) -> Tensor:
        """Write it down, and whether the observations are the latest."""
        self._note("act")
        self.seen_wrong += self._latest is not None and self._latest is not obs
        return self._algorithm.act(obs)

    def process_env_step(self, step: EnvStep) -> None:
        """Write it down."""
        self._note("process_env_step")
        self._latest = step.obs
        self._algorithm.process_env_step(step)

    def update(self, obs: TensorDict) -> dict[str, Tensor]:
        """Write it down, and add a metric."""
        self._note("update")
        self.seen_wrong += self._latest is not obs
        return {**self._algorithm.update(obs), "Loss/fake": torch.tensor(0.5)}

    @contextlib.contextmanager
    def rollout_context(self) -> Iterator[None]:
        """Write down what happens under it."""
        with self._algorithm.rollout_context():
            self._inside = True
            yield
            self._inside = False

    def train_mode(self) -> None:
        """Write it down."""
        self._note("train_mode")
        self._algorithm.train_mode()

    def eval_mode(self) -> None:
        """As the other one."""
        self._algorithm.eval_mode()

    def act_inference(self, obs: TensorDict) -> Tensor:
        """As the other one."""
        return self._algorithm.act_inference(obs)

    def reset(self, dones: Tensor | None = None) -> None:
        """As the other one."""
        self._algorithm.reset(dones)

    def state_dict(self) -> dict[str, Any]:
        """As the other one."""
        return self._algorithm.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As the other one."""
        self._algorithm.load_state_dict(state)

    def local_state_dict(self) -> dict[str, Any]:
        """As the other one."""
        return self._algorithm.local_state_dict()

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """As the other one."""
        self._algorithm.load_local_state_dict(state, same_episodes)

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if self._inside:
            self.under_context.add(name)


def _shortened(calls: list[str]) -> str:
    text = ", ".join(calls)
    return text if len(text) <= 300 else text[:297] + "..."
