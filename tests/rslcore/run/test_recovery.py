"""Runs with damaged checkpoints."""

from __future__ import annotations

import re
import shutil

import pytest

from rslcore.config import load_config
from rslcore.errors import CheckpointError
from rslcore.evaluation import evaluate, load_policy
from rslcore.run.checkpoint import load_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.recovery import load_checkpoint_of
from rslcore.training import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    config = load_config(
        "cartpole",
        ("iterations=4", "runner.save_interval=1", "runner.num_steps_per_env=8", "env.num_envs=4", "loggers=[]"),
    )
    return train(config, log_root=tmp_path_factory.mktemp("logs"), quiet=True).path


@pytest.fixture
def run(trained, tmp_path):
    return RunFolder(shutil.copytree(trained, tmp_path / "a run"))


def damage(path):
    path.write_bytes(path.read_bytes()[:-1])


def test_load_whole_checkpoint(run):
    assert load_checkpoint_of(run, run.checkpoint(), "rslcore eval").iteration == 4


def test_load_damaged_checkpoint_names_the_newest_whole_one_before_it(run):
    damage(run.checkpoint_path(4))
    damage(run.checkpoint_path(3))
    with pytest.raises(CheckpointError) as damaged:
        load_checkpoint(run.checkpoint_path(4))
    before = f"; the newest one before it that can be read is '{run.checkpoint_path(2)}'"
    command = f"; to take that, type `rslcore eval '{run.checkpoint_path(2)}'`"
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(damaged.value) + before + command)}$"):
        evaluate(run.path)
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(damaged.value) + before)}$"):
        load_policy(run.path)
    assert evaluate(run.checkpoint_path(2), episodes=1).iteration == 2


def test_load_damaged_checkpoint_with_none_before_it(run):
    damage(run.checkpoint_path(1))
    for path in (run.checkpoint_path(1), shutil.copy(run.checkpoint_path(1), run.path / "copy.pt")):
        with pytest.raises(CheckpointError, match="is damaged(?!.*the newest one)"):
            load_checkpoint_of(run, path)


def test_best_checkpoint_is_evaluated_and_loaded(run):
    run.mark_best(run.checkpoint_path(2))
    run.keep(1)
    assert list(run.checkpoints()) == [4]
    assert evaluate(run.path, checkpoint="best", episodes=1).iteration == 2
    assert load_policy(run.path, checkpoint="best").groups == ("policy",)
