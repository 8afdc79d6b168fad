"""The run that is gone on with."""

from __future__ import annotations

import re
import shutil

import pytest

from rslcore.config import load_config
from rslcore.errors import RunError
from rslcore.run.checkpoint import load_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.testing.values import difference
from rslcore.training import train


@pytest.fixture
def config(small_config):
    return small_config("iterations=2", "runner.save_interval=1")


def end_before_a_checkpoint(run):
    """As a process that was killed early would leave a run."""
    for path in run.path.glob("model_*"):
        path.unlink()


def test_resume_of_a_run_without_a_checkpoint_begins_it_again_in_its_folder(config, tmp_path, caplog):
    run = RunFolder(train(config, log_root=tmp_path, quiet=True).path)
    whole = load_checkpoint(run.checkpoint())
    end_before_a_checkpoint(run)
    again = train(load_config(run.path / "config.yaml"), log_root=tmp_path, resume=run.path.parent, quiet=True)
    assert again.path == run.path
    assert caplog.messages == [f"the run '{run.path}' has no checkpoint yet and begins again from its beginning"]
    assert difference(load_checkpoint(run.checkpoint()).algorithm, whole.algorithm) is None


def test_resume_of_a_run_that_has_its_best_checkpoint_only_is_refused(config, tmp_path):
    run = RunFolder(train(config, log_root=tmp_path, quiet=True).path)
    run.mark_best(run.checkpoint_path(1))
    best = shutil.copy(run.path / "model_best.pt", tmp_path / "best.pt")
    end_before_a_checkpoint(run)
    shutil.copy(best, run.path / "model_best.pt")
    message = (
        f"the run '{run.path}' has no checkpoint but '{run.path / 'model_best.pt'}'; to go on from that, give its path"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        train(config, resume=run.path, quiet=True)
    assert train(config, resume=run.path / "model_best.pt", quiet=True).iteration == 2


def test_processes_that_were_started_again_before_a_checkpoint_begin_in_the_same_folder(config, tmp_path, monkeypatch):
    run = RunFolder(train(config, log_root=tmp_path, quiet=True).path)
    end_before_a_checkpoint(run)
    monkeypatch.setattr("rslcore.training.noted_run", lambda training: run.path)
    assert train(config, log_root=tmp_path, quiet=True).path == run.path
    assert list(run.path.parent.iterdir()) == [run.path]
