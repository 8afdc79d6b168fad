"""Which checkpoints are on disk, which one is the best, and what happens when there is no room."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import tempfile
from pathlib import Path

import attrs
import pytest

from rslcore.errors import CheckpointError, RunError
from rslcore.run.checkpoint import load_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.keeper import Best, CheckpointKeeper
from rslcore.training import train

METRIC = "best_metric=Train/mean_reward"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A checkpoint of a real run."""
    from rslcore.config import load_config

    overrides = ("iterations=1", "env.num_envs=2", "runner.num_steps_per_env=8", "loggers=[]")
    return load_checkpoint(
        train(load_config("cartpole", overrides), log_root=tmp_path_factory.mktemp("logs"), quiet=True).path
        / "model_1.pt"
    )


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path, "exp", None)


@pytest.fixture
def keep(small_config, run, written):
    """A keeper, and what writes a checkpoint through it; further overrides of its config."""

    def make(*overrides, resumed=None):
        config = small_config(*overrides)
        keeper = CheckpointKeeper(config)
        if resumed is not None:
            keeper.restore(resumed)
        keeper.start(run)

        def write(iteration, **metrics):
            best = keeper.best_with(iteration, {f"Train/{name}": value for name, value in metrics.items()})
            stated = {"best_metric": config.best_metric, "best_is": config.best_is}
            checkpoint = attrs.evolve(
                written,
                iteration=iteration,
                config={**written.config, **stated},
                progress={**written.progress, "best": best and attrs.asdict(best)},
            )
            keeper.write(checkpoint, best)
            return checkpoint

        return keeper, write

    return make


@contextlib.contextmanager
def no_room():
    """Let no file of this process become larger than a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def best_of(run):
    return load_checkpoint(run.checkpoint("best")).iteration


def test_keeper_keeps_all_by_default(keep, run):
    _, write = keep()
    for iteration in range(1, 6):
        write(iteration)
    assert list(run.checkpoints()) == [1, 2, 3, 4, 5]
    with pytest.raises(RunError, match="has no best checkpoint"):
        run.checkpoint("best")


def test_keeper_deletes_the_oldest_once_the_new_one_is_there(keep, run, monkeypatch):
    _, write = keep("keep_checkpoints=2")
    held = []
    unlink = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda path, **options: held.append(list(run.checkpoints())) or unlink(path, **options)
    )
    for iteration in range(1, 5):
        write(iteration)
    assert held == [[1, 2, 3], [2, 3, 4]]
    assert list(run.checkpoints()) == [3, 4]


@pytest.mark.parametrize(("best_is", "expected"), [("highest", [1, 2, 2, 4, 4]), ("lowest", [1, 1, 3, 3, 3])])
def test_keeper_marks_the_best(keep, run, best_is, expected):
    _, write = keep(METRIC, f"best_is={best_is}", "keep_checkpoints=1")
    found = []
    for iteration, reward in enumerate([5.0, 7.0, 2.0, 9.0, 9.0], start=1):
        write(iteration, mean_reward=reward)
        found.append(best_of(run))
    assert found == expected
    assert list(run.checkpoints()) == [5]


def test_keeper_metric_that_is_not_finite_is_never_the_best(keep, run):
    _, write = keep(METRIC)
    write(1, mean_reward=float("nan"))
    assert not (run.path / "model_best.pt").exists()
    for iteration, reward in enumerate([3.0, float("nan"), float("inf"), 1.0], start=2):
        write(iteration, mean_reward=reward)
    assert best_of(run) == 2


def test_keeper_metric_that_is_missing_is_warned_about_once(keep, run, caplog):
    _, write = keep("best_metric=Train/mean_rewrad")
    for iteration in (1, 2):
        write(iteration, mean_reward=1.0, mean_episode_length=2.0)
    assert caplog.messages == [
        "best_metric: no metric 'Train/mean_rewrad' was logged so far; did you mean 'Train/mean_reward'? (logged: "
        "'Train/mean_episode_length', 'Train/mean_reward')"
    ]
    assert not (run.path / "model_best.pt").exists()


def test_keeper_metric_that_is_logged_now_and_then_is_not_missing(keep, run, caplog):
    _, write = keep(METRIC)
    write(1, mean_reward=1.0)
    write(2)
    assert (caplog.messages, best_of(run)) == ([], 1)


def test_keeper_of_a_resumed_run_goes_on_from_the_best(keep, run):
    _, write = keep(METRIC)
    write(1, mean_reward=5.0)
    last = write(2, mean_reward=4.0)
    _, write = keep(METRIC, resumed=last)
    write(3, mean_reward=4.5)
    assert best_of(run) == 1
    write(4, mean_reward=6.0)
    assert best_of(run) == 4


@pytest.mark.parametrize("change", ["best_metric=Train/mean_episode_length", "best_is=lowest"])
def test_keeper_of_a_resumed_run_with_another_metric_begins_anew(keep, run, change):
    _, write = keep(METRIC)
    last = write(1, mean_reward=5.0)
    _, write = keep(METRIC, change, resumed=last)
    write(2, mean_reward=7.0, mean_episode_length=1.0)
    assert best_of(run) == 2


def test_keeper_marks_what_a_killed_process_did_not(keep, run):
    _, write = keep(METRIC)
    write(1, mean_reward=5.0)
    last = write(2, mean_reward=6.0)
    run.mark_best(run.checkpoint_path(1))
    keep(METRIC, resumed=last)
    assert best_of(run) == 2


def test_keeper_without_room_says_so_once_and_when_it_is_over(keep, run, caplog):
    keeper, write = keep(METRIC, "keep_checkpoints=1")
    with no_room():
        write(1, mean_reward=1.0)
    write(2, mean_reward=2.0)
    with no_room():
        for iteration in (3, 4, 5):
            write(iteration, mean_reward=9.0)
        assert (list(run.checkpoints()), best_of(run)) == ([2], 2)
    write(6, mean_reward=3.0)
    keeper.finish()
    assert caplog.messages == [
        f"the checkpoint '{run.checkpoint_path(1)}' cannot be written: File too large; the run goes on and tries again "
        "with the next one; there is no checkpoint yet",
        f"checkpoints can be written again, the first one is '{run.checkpoint_path(2)}'",
        f"the checkpoint '{run.checkpoint_path(3)}' cannot be written: File too large; the run goes on and tries again "
        f"with the next one; the last checkpoint is '{run.checkpoint_path(2)}'",
        f"checkpoints can be written again, the first one is '{run.checkpoint_path(6)}'",
    ]
    assert (list(run.checkpoints()), best_of(run)) == ([6], 6)  # what was not saved does not count


def test_keeper_saves_the_last_one_elsewhere(keep, run, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    keeper, write = keep()
    write(1)
    with no_room():
        write(2)
    with pytest.raises(CheckpointError) as caught:
        keeper.finish()
    (elsewhere,) = (tmp_path / "temporary").glob("rslcore_*/model_2.pt")
    assert str(caught.value) == (
        f"the checkpoint '{run.checkpoint_path(2)}' cannot be written: File too large; it was saved as '{elsewhere}' "
        f"instead: make room and move it to '{run.path}'"
    )
    assert load_checkpoint(elsewhere).iteration == 2


def test_keeper_that_cannot_save_the_last_one_at_all_says_so(keep, run, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    keeper, write = keep()
    message = f"the checkpoint '{run.checkpoint_path(1)}' cannot be written: File too large"
    with no_room():
        write(1)
        with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
            keeper.finish()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_best_checkpoint_of_a_run_is_evaluated(small_config, tmp_path, rslcore):
    config = small_config(
        METRIC,
        "iterations=6",
        "runner.save_interval=1",
        "runner.num_steps_per_env=32",
        "keep_checkpoints=1",
        "algorithm.learning_rate=0.1",
    )
    run = RunFolder(train(config, log_root=tmp_path, quiet=True).path)
    assert list(run.checkpoints()) == [6]
    best = Best(**load_checkpoint(run.checkpoint()).progress["best"])
    assert best_of(run) == best.iteration
    _, out, _ = rslcore("eval", run.path, "--checkpoint", "best", "--episodes", 1, "--json")
    assert json.loads(out)["iteration"] == best.iteration
