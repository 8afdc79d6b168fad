"""Run folders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rslcore.errors import RunError
from rslcore.run.folder import RunFolder


@pytest.fixture
def run(tmp_path):
    folder = RunFolder.create(tmp_path, "exp", None)
    folder.write_config("seed: 1\n")
    return folder


def test_create_names_the_folder_after_date_and_run(tmp_path):
    path = RunFolder.create(tmp_path, "exp", "first").path
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_first", path.name)
    assert path.parent == tmp_path / "exp"


def test_create_twice_in_a_second_gives_two_folders(tmp_path):
    assert len({RunFolder.create(tmp_path, "exp", "x").path for _ in range(3)}) == 3


def test_create_bad_run_name_is_refused(tmp_path):
    message = "the run name 'a/b' cannot be part of a folder's name; use letters, digits, '_-.'"
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        RunFolder.create(tmp_path, "exp", "a/b")
    assert list(tmp_path.iterdir()) == []


def test_create_under_a_file_is_refused(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(RunError, match=r"^the run folder '.*' cannot be made: Not a directory$"):
        RunFolder.create(tmp_path / "logs", "exp", None)


def test_find_run_checkpoint_and_experiment_give_the_run(run):
    run.checkpoint_path(3).touch()
    for path in (run.path, run.path.parent, run.checkpoint_path(3)):
        assert RunFolder.find(path).path == run.path


def test_find_experiment_gives_its_latest_run(run):
    later = run.path.with_name("9999-01-01_00-00-00")
    later.mkdir()
    RunFolder(later).write_config("seed: 2\n")
    assert RunFolder.find(run.path.parent).path == later


def test_find_nothing_names_the_nearest(run):
    wrong = run.path.with_name("exq")
    with pytest.raises(RunError, match=f"^there is no run '{re.escape(str(wrong))}'"):
        RunFolder.find(wrong)
    with pytest.raises(RunError, match=f"; did you mean '{re.escape(str(run.path.parent))}'\\?$"):
        RunFolder.find(run.path.parent.with_name("exq"))


def test_find_name_of_an_experiment_points_to_the_log_root(run, monkeypatch):
    run.path.parent.parent.joinpath("logs").mkdir()
    run.path.parent.rename(run.path.parent.with_name("logs") / "exp")
    monkeypatch.chdir(run.path.parent.parent)
    with pytest.raises(RunError, match=r"^there is no run 'exp'; did you mean 'logs/exp'\?$"):
        RunFolder.find(Path("exp"))


def test_find_experiment_passes_over_runs_that_ended_before_a_checkpoint(run):
    run.checkpoint_path(3).touch()
    later = run.path.with_name("9999-01-01_00-00-00")
    later.mkdir()
    RunFolder(later).write_config("seed: 2\n")
    assert RunFolder.find(run.path.parent).path == run.path


def test_find_resumable_needs_the_config(run):
    run.checkpoint_path(3).touch()
    assert RunFolder.find_resumable(run.path).path == run.path
    (run.path / "config.yaml").unlink()
    with pytest.raises(
        RunError, match=r"is not in a run's folder \(it has no config\.yaml\), so there is none to go on in$"
    ):
        RunFolder.find_resumable(run.path)


def test_set_aside_after_keeps_what_was_set_aside_before(run):
    for _ in range(2):
        for iteration in (1, 2):
            run.checkpoint_path(iteration).write_text(str(iteration))
        run.set_aside_after(1)
    assert list(run.checkpoints()) == [1]
    aside = {path.name for path in run.path.glob("superseded*")}
    assert aside == {"superseded_1_model_2.pt", "superseded_2_model_2.pt"}


def test_find_other_folder_says_what_a_run_is(tmp_path):
    message = (
        f"'{tmp_path}' is no run: it holds neither a config.yaml nor a model_<iteration>.pt; "
        "give a folder like logs/<experiment>/<date>"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        RunFolder.find(tmp_path)


def test_checkpoint_by_number_latest_and_file(run):
    for iteration in (5, 20, 100):
        run.checkpoint_path(iteration).touch()
    assert run.checkpoint("latest").name == "model_100.pt"
    assert run.checkpoint("20").name == "model_20.pt"
    assert run.checkpoint("model_5.pt") == run.checkpoint_path(5)


def test_checkpoint_that_is_not_there_lists_those_that_are(run):
    with pytest.raises(RunError, match=r"has no checkpoint yet \(no model_<iteration>\.pt\)$"):
        run.checkpoint()
    run.checkpoint_path(5).touch()
    run.checkpoint_path(10).touch()
    with pytest.raises(RunError, match="has no checkpoint of iteration 7; it has 5, 10$"):
        run.checkpoint("7")
    with pytest.raises(RunError, match="^there is no checkpoint 'best'; give latest, an iteration or a file$"):
        run.checkpoint("best")
