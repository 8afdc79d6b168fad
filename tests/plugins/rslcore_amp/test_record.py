"""Recording reference motions from a trained policy."""

from __future__ import annotations

import numpy
import pytest
import torch

from rslcore.context import Context
from rslcore.registry import default_registry
from rslcore.training import train
from rslcore_amp.motions import load_pairs
from rslcore_amp.record import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs in Count, which keeps final observations, and in CartPole, which resets in a step of its own."""
    from conftest import SMALL

    from rslcore.config import load_config

    folder = tmp_path_factory.mktemp("logs")
    overrides = {"count": ["env.id=rslcore_tests/Count-v0"], "cartpole": []}
    return {
        name: train(load_config("cartpole", [*SMALL, *changes]), log_root=folder, quiet=True).path
        for name, changes in overrides.items()
    }


def record(run, path, *arguments):
    main([str(run), "--output", str(path), *arguments])
    with numpy.load(path, allow_pickle=False) as file:
        return file["num_frames"], {name: file[name] for name in file.files if name != "num_frames"}


def test_record_keeps_whole_episodes_with_their_last_observation(runs, tmp_path, capsys):
    lengths, groups = record(runs["count"], tmp_path / "count.npz", "--episodes", "6")
    assert capsys.readouterr().out == f"{tmp_path / 'count.npz'}: 6 motions, {lengths.sum()} frames of policy [2]\n"
    assert (len(lengths), set(groups)) == (6, {"obs/policy"})
    assert groups["obs/policy"].dtype == numpy.float32
    for motion in numpy.split(groups["obs/policy"], lengths.cumsum()[:-1]):
        assert len(set(motion[:, 0])) == 1  # the number of the episode
        assert motion[:, 1].tolist() == list(range(len(motion)))


def test_record_leaves_out_the_steps_in_which_an_env_resets(runs, tmp_path, small_config):
    path = tmp_path / "cartpole.npz"
    lengths, _ = record(runs["cartpole"], path, "--episodes", "9")
    context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8)
    pairs = load_pairs(str(path), {"policy": 4}, context)
    assert len(pairs) == lengths.sum() - 9
    before, after = pairs[:, 0], pairs[:, 1]
    torch.testing.assert_close(after[:, 0], before[:, 0] + 0.02 * before[:, 1])


def test_record_takes_overrides_of_the_config(runs, tmp_path):
    groups = "env.groups={policy: [0, 1, 2, 3], speeds: [1, 3]}"
    _, arrays = record(runs["cartpole"], tmp_path / "split.npz", "--episodes", "1", groups, "env.vectorization=sync")
    assert numpy.array_equal(arrays["obs/speeds"], arrays["obs/policy"][:, [1, 3]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["env.groups={speeds: [1, 3]}"], "the policy needs the observation group 'policy', it was given 'speeds'"),
        (["--checkpoint", "7"], "the run '{run}' has no checkpoint of iteration 7; it has 2"),
    ],
    ids=["groups", "checkpoint"],
)
def test_record_what_does_not_fit_is_a_message(runs, tmp_path, changes, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(runs["cartpole"]), "--output", str(tmp_path / "x.npz"), *changes])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {message.format(run=runs['cartpole'])}\n"


@pytest.mark.parametrize("output", ["nowhere/x.npz", "."])
def test_record_output_is_looked_at_before_anything_is_played(output, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["no_run", "--output", output])
    assert ended.value.code == 2
    message = f"error: --output should be a file in a folder that is there, it is '{output}'\n"
    assert capsys.readouterr().err.endswith(message)


def test_record_no_episodes_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nowhere", "--output", "x.npz", "--episodes", "0"])
    assert capsys.readouterr().err.endswith("error: --episodes should be at least 1, it is 0\n")
