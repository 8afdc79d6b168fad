"""When and where a runner of rsl_rl's kind saves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rslcore.errors import CheckpointError
from rslcore.run.folder import RunFolder
from rslcore_rsl_rl.keeper import RunnerKeeper


def checkpoint(iteration):
    return SimpleNamespace(iteration=iteration)


def test_keeper_saves_when_rsl_rl_does():
    keeper = RunnerKeeper(lambda path: None)
    assert [iteration for iteration in range(1, 10) if keeper.is_due(iteration, 3)] == [1, 4, 7]
    assert keeper.best_with(1, {"Train/mean_reward": 1.0}) is None


def test_keeper_hands_the_checkpoint_over_while_it_is_saved(tmp_path):
    saved = []
    keeper = RunnerKeeper(lambda path: saved.append((path, keeper.checkpoint)))
    keeper.start(RunFolder(tmp_path))
    given = checkpoint(5)
    assert keeper.write(given, None) == tmp_path / "model_4.pt"
    assert saved == [(str(tmp_path / "model_4.pt"), given)]
    assert keeper.checkpoint is None
    keeper.finish()


def test_keeper_without_a_folder_writes_nothing():
    keeper = RunnerKeeper(lambda path: pytest.fail("there is no folder"))
    assert keeper.write(checkpoint(5), None) is None
    keeper.finish()


@pytest.mark.parametrize("error", [CheckpointError("'model_0.pt' cannot be written: full"), OSError(28, "full")])
def test_keeper_warns_once_and_raises_at_the_end(error, tmp_path, caplog):
    failing = True

    def save(path):
        if failing:
            raise error

    keeper = RunnerKeeper(save)
    keeper.start(RunFolder(tmp_path))
    assert [keeper.write(checkpoint(number), None) for number in (1, 2)] == [None, None]
    (message,) = caplog.messages
    assert message.endswith("full; the run goes on and tries again with the next one")
    assert keeper.checkpoint is None
    with pytest.raises(CheckpointError, match="full"):
        keeper.finish()
    failing = False
    assert keeper.write(checkpoint(3), None) == tmp_path / "model_2.pt"
    keeper.finish()


def test_keeper_lets_mistakes_of_a_script_through(tmp_path):
    def save(path):
        raise KeyError("upload_model")

    keeper = RunnerKeeper(save)
    keeper.start(RunFolder(tmp_path))
    with pytest.raises(KeyError, match="upload_model"):
        keeper.write(checkpoint(1), None)
    assert keeper.checkpoint is None
