"""Fixtures that several tests share."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rslcore.cli import main
from rslcore.config import ExperimentConfig, load_config
from rslcore.registry import Registry
from rslcore.seeding import seed_everything
from rslcore.testing import count_host_reads
from rslcore.testing.pytest_plugin import rslcore_registry  # noqa: F401 - also where rslcore is installed without it
from rslcore.training import train

sys.path.insert(0, str(Path(__file__).parent))
import envs
from ranks import RankPool, backends
from shard_runs import make_files

envs.register()

DISTRIBUTIONS = Path(__file__).parent / "data" / "distributions"

SMALL = ("iterations=2", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]")
"""Overrides that make a recipe a matter of milliseconds."""


def pytest_collection_finish() -> None:
    """What is imported stays, and need not be looked through at every garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Every test draws the same numbers, whatever ran before it; a run seeds itself."""
    seed_everything(0)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """SIGINT interrupts, as where a user types: the workers of pytest-xdist ignore it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture
def rslcore(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process, as it is typed; give its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rslcore", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """Put fake distributions on the path and load all plugins, theirs and ours."""

    def load(*names: str, disabled: tuple[str, ...] = ()) -> Registry:
        for name in names:
            monkeypatch.syspath_prepend(str(DISTRIBUTIONS / name))
        return Registry.discover(disabled)

    return load


@pytest.fixture
def count_reads() -> Callable[[Callable[[], object]], int]:
    """Count the host reads of a call, those inside of operators included."""
    return count_host_reads


@pytest.fixture
def small_config() -> Callable[..., ExperimentConfig]:
    """A recipe made small, with further overrides."""

    def load(*overrides: str, recipe: str = "cartpole") -> ExperimentConfig:
        return load_config(recipe, (*SMALL, *overrides))

    return load


@pytest.fixture
def reads_of_runs() -> Callable[[int, int], int]:
    """The host reads that every run of a Gymnasium env makes, for its iterations and the steps of each.

    In a step the actions, since the env is on the host. In an iteration whether its numbers are finite (`Watch`),
    rewards, dones and validity of the steps (`EpisodeStatistics`), and the metrics.
    """
    return lambda num_iterations, num_steps: num_iterations * (num_steps + 1 + 3 + 1)


GROUPS = "env.groups={policy: [0, 1], privileged: [2]}"
"""The angle of a pendulum for everyone, its speed for those that are privileged."""


@pytest.fixture(scope="session")
def pendulum_teachers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two short runs of PPO that see all of a pendulum: `mlp`, and `gru`, which remembers."""
    runs = {}
    for name in ("mlp", "gru"):
        network = f"{{name: {name}, groups: [policy, privileged], hidden_dims: [8], normalize: true}}"
        overrides = (GROUPS, f"experiment={name}", "algorithm.num_mini_batches=2")
        networks = [f"policy.{part}.network={network}" for part in ("actor", "critic")]
        config = load_config("pendulum", (*SMALL, *overrides, *networks))
        runs[name] = train(config, log_root=tmp_path_factory.mktemp("teachers"), quiet=True).path
    return runs


@pytest.fixture
def pendulum_student(
    small_config: Callable[..., ExperimentConfig], pendulum_teachers: dict[str, Path]
) -> Callable[..., ExperimentConfig]:
    """Distillation of a teacher into a student that sees the pendulum's angle."""

    def load(*overrides: str, student: str = "{name: mlp, hidden_dims: [8]}", teacher: str = "mlp") -> ExperimentConfig:
        distribution = "{name: gaussian, init_std: 0.1}"
        return small_config(
            GROUPS,
            f"policy={{name: student_teacher, student: {{network: {student}, distribution: {distribution}}}, "
            f"teacher: {{run: {pendulum_teachers.get(teacher, teacher)}}}}}",
            "algorithm={name: distillation, optimizer: sgd, learning_rate: 0.1}",
            *overrides,
            recipe="pendulum",
        )

    return load


@pytest.fixture(scope="session", params=backends(2))
def two_ranks(request: pytest.FixtureRequest) -> Iterator[RankPool]:
    """Two processes that train together, see `ranks`."""
    with RankPool(2, request.param) as pool:
        yield pool


@pytest.fixture(scope="session", params=backends(4))
def four_ranks(request: pytest.FixtureRequest) -> Iterator[RankPool]:
    """Four of them."""
    with RankPool(4, request.param) as pool:
        yield pool


@pytest.fixture(scope="session")
def shard_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the cases of `shard_runs` name."""
    return make_files(tmp_path_factory.mktemp("shards"))
