"""Run folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rslcore.errors import CheckpointError, RunError
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


def test_find_file_that_belongs_to_no_run_is_refused(run, tmp_path):
    assert RunFolder.find(run.path / "config.yaml").path == run.path
    path = tmp_path / "agent.yaml"
    path.touch()
    message = (
        f"'{path}' is a file and no checkpoint; give a run's folder, like logs/<experiment>/<date>, or a checkpoint in "
        "it"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        RunFolder.find(path)


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


def test_set_aside_after_takes_the_best_one_along_if_it_is_later(run):
    for iteration in (1, 2):
        run.checkpoint_path(iteration).write_bytes(b"%d" % iteration)
    run.mark_best(run.checkpoint_path(2))
    assert run.set_aside_after(2, best_iteration=2) == []
    aside = run.set_aside_after(1, best_iteration=2)
    assert [path.name for path in aside] == ["superseded_1_model_2.pt", "superseded_1_model_best.pt"]
    assert (run.path / "superseded_1_model_best.pt").read_bytes() == b"2"


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
    with pytest.raises(RunError, match="^there is no checkpoint 'last'; give latest, best, an iteration or a file$"):
        run.checkpoint("last")
    best = (
        r"has no best checkpoint \(no model_best\.pt; one is kept where the config has a best_metric\); it has 5, 10$"
    )
    with pytest.raises(RunError, match=best):
        run.checkpoint("best")


def names(paths):
    return [path.name for path in paths]


def test_checkpoints_are_those_with_an_iteration(run):
    for name in (
        "model_0.pt",
        "model_12.pt",
        "model_best.pt",
        "model_07.pt",
        "model_\u0663.pt",
        "model_3.pt.tmp",
        "model_.pt",
    ):
        (run.path / name).touch()
    assert list(run.checkpoints()) == [0, 12]


def test_keep_deletes_the_oldest_and_nothing_else(run):
    others = ["superseded_1_model_1.pt", "model_best.pt", "model_1.pt.bak", "events.out.tfevents.1", "config.yaml"]
    for name in others:
        (run.path / name).touch()
    for iteration in (2, 9, 10, 30, 100):
        run.checkpoint_path(iteration).touch()
    run.checkpoint_path(1).mkdir()
    run.checkpoint_path(3).symlink_to("model_30.pt")
    run.checkpoint_path(200).mkdir()
    assert names(run.keep(2, protect=[run.path / ".." / run.path.name / "model_9.pt"])) == ["model_2.pt", "model_10.pt"]
    assert list(run.checkpoints()) == [1, 3, 9, 30, 100, 200]
    assert set(others) < {path.name for path in run.path.iterdir()}
    assert names(run.keep(1)) == ["model_9.pt", "model_30.pt"]
    assert run.keep(1) == []


def test_keep_that_cannot_delete_warns_once(run, monkeypatch, caplog):
    for iteration in (1, 2, 3):
        run.checkpoint_path(iteration).touch()
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path.name == "model_1.pt":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert names(run.keep(1)) == ["model_2.pt"]
    assert run.keep(1) == []
    assert caplog.messages == [f"the old checkpoint '{run.checkpoint_path(1)}' cannot be deleted: Permission denied"]


def test_mark_best_stays_when_the_checkpoint_is_deleted(run):
    for iteration in (1, 2, 3):
        run.checkpoint_path(iteration).write_text(str(iteration))
        if iteration < 3:
            run.mark_best(run.checkpoint_path(iteration))
    assert names(run.keep(1)) == ["model_1.pt", "model_2.pt"]
    assert run.checkpoint("best") == run.path / "model_best.pt"
    assert run.checkpoint("best").read_text() == "2"
    assert run.checkpoint("latest").read_text() == "3"


def test_mark_best_of_a_checkpoint_that_is_not_there(run):
    message = f"'{run.checkpoint_path(1)}' cannot be kept as '{run.path / 'model_best.pt'}': No such file or directory"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        run.mark_best(run.checkpoint_path(1))


def test_clean_takes_what_was_being_written(run):
    run.checkpoint_path(1).touch()
    names = ("model_1.pt", "model_best.pt", "config.yaml", "plugins.yaml", "bad_numbers_12.pt")
    left = [run.path / f".{name}.elsewhere.1.tmp" for name in names]
    others = [run.path / name for name in (".notes.elsewhere.1.tmp", ".model_1.pt.tmp", "model_1.pt.elsewhere.1.tmp")]
    for path in (*left, *others):
        path.touch()
    assert run.clean() == []
    for path in (*left, *others):
        os.utime(path, (0, 0))
    assert set(run.clean()) == set(left)
    assert set(run.path.iterdir()) == {*others, run.checkpoint_path(1), run.path / "config.yaml"}
