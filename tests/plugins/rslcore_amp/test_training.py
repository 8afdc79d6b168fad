"""Adversarial motion priors in runs: pairs, state, and other extensions beside them."""

from __future__ import annotations

import functools

import attrs
import numpy
import pytest
import torch

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.evaluation import load_policy
from rslcore.registry import default_registry
from rslcore.run.checkpoint import load_checkpoint
from rslcore.training import build_algorithm, num_steps_per_env, train

COUNT = ("env.id=rslcore_tests/Count-v0", "iterations=3")
"""An env that observes `[number of the episode, steps of the episode]`."""


@pytest.fixture
def amp(write_motions):
    """The config of an `amp` for observations of 2 numbers, or of 4."""

    def config(size=2, **options):
        frames = numpy.random.default_rng(1).normal(size=(5, size)).astype(numpy.float32)
        options = {"motions": write_motions(obs__policy=frames), "hidden_dims": [8], "replay_size": 1000, **options}
        return f"{{name: amp, {', '.join(f'{name}: {value}' for name, value in options.items())}}}"

    return config


def train_small(small_config, tmp_path, *overrides, **options):
    return train(small_config(*overrides), log_root=tmp_path, quiet=True, **options)


def load(result):
    return load_checkpoint(result.path / f"model_{result.iteration}.pt")


def replay_rows(local_state, name="amp"):
    return local_state["extensions"][name]["replay"]["rows"]


def replayed(result, name="amp"):
    return replay_rows(load(result).ranks[0]["algorithm"], name)


def test_train_pairs_only_what_follows_in_one_episode(small_config, amp, tmp_path):
    rows = replayed(train_small(small_config, tmp_path, *COUNT, f"algorithm.extensions=[{amp()}]"))
    before, after = rows[:, 0], rows[:, 1]
    assert len(rows) == 3 * 8 * 4  # every step is a pair, since the last observations of episodes are known
    assert torch.equal(before[:, 0], after[:, 0])
    assert torch.equal(before[:, 1] + 1, after[:, 1])
    assert len(before[:, 0].unique()) > 5
    assert after[:, 1].max() == 3  # at which the time limit ends episodes


def test_train_pairs_nothing_across_the_steps_in_which_an_env_resets(small_config, amp, tmp_path):
    # CartPole's own vectorised version resets in the step after an episode's end.
    overrides = ("runner.num_steps_per_env=100", f"algorithm.extensions=[{amp(size=4)}]")
    rows = replayed(train_small(small_config, tmp_path, *overrides))
    before, after = rows[:, 0], rows[:, 1]
    assert 700 < len(rows) < 800  # of 2 * 100 * 4 steps
    for position in (0, 2):  # of the cart and of the pole: they move by 0.02 s of their speed
        torch.testing.assert_close(after[:, position], before[:, position] + 0.02 * before[:, position + 1])


def test_train_keeps_the_number_of_pairs_that_it_was_told(small_config, amp, tmp_path):
    result = train_small(small_config, tmp_path, *COUNT, f"algorithm.extensions=[{amp(replay_size=50)}]")
    assert replayed(result).shape == (50, 2, 2)


def test_train_with_rnd_and_a_second_amp_keeps_them_apart(small_config, amp, tmp_path):
    extensions = f"algorithm.extensions=[{amp(task_reward_weight=1.0)}, {{name: rnd}}, {amp(hidden_dims=[4, 4])}]"
    result = train_small(small_config, tmp_path, *COUNT, extensions)
    parts = ("", "_gradient_penalty", "_logit_regularization", "_weight_decay")
    assert {f"Loss/amp{part}{number}" for part in parts for number in ("", "#2")} <= set(result.metrics)
    names = ("style_reward", "policy_output", "reference_output", "gradient_penalty", "accuracy")
    assert {f"AMP{number}/{name}" for name in names for number in ("", "#2")} <= set(result.metrics)
    assert {"Loss/rnd", "Episode/amp_style_return", "Episode/amp#2_style_return"} <= set(result.metrics)
    state = load(result).algorithm
    assert set(state["modules"]) == {"policy", "amp", "amp#2", "rnd"}
    assert torch.equal(replayed(result), replayed(result, "amp#2"))


def test_train_makes_the_discriminator_better(small_config, amp, tmp_path):
    # Reference motions are near 0, Count's episodes have numbers up to dozens.
    overrides = (*COUNT, "iterations=12", f"algorithm.extensions=[{amp(learning_rate=0.01)}]")
    result = train_small(small_config, tmp_path, *overrides)
    assert result.metrics["AMP/accuracy"] > 0.9
    assert result.metrics["AMP/reference_output"] > result.metrics["AMP/policy_output"] + 0.5


def test_train_without_any_reward_gives_none(small_config, amp, tmp_path):
    extension = amp(task_reward_weight=0.0, style_reward_weight=0.0)
    result = train_small(small_config, tmp_path, *COUNT, f"algorithm.extensions=[{extension}]")
    assert result.metrics["Train/mean_shaped_reward"] == 0.0
    assert result.metrics["AMP/style_reward"] > 0.0


def test_train_resumed_goes_on_with_the_replay_buffer(small_config, amp, tmp_path):
    overrides = (*COUNT, f"algorithm.extensions=[{amp()}, {{name: rnd}}]")
    first = train_small(small_config, tmp_path, *overrides)
    second = train(small_config(*overrides, "iterations=4"), resume=first.path, quiet=True)
    rows = replayed(second)
    assert len(rows) == 4 * 8 * 4
    assert torch.equal(rows[: 3 * 8 * 4], replayed(first))
    states = [load(result).algorithm for result in (first, second)]
    counts = [state["modules"]["amp"]["module"]["normalizer.count"].item() for state in states]
    assert counts == [3 + 3 * 2 * 32, 3 + 4 * 2 * 32]  # 3 of the reference, then steps and as many reference frames


def test_train_beside_rnd_goes_on_from_its_state_as_without_interruption(small_config, amp):
    # The envs of both begin anew, so that they are the same.
    overrides = ("algorithm.schedule=adaptive", f"algorithm.extensions=[{amp(replay_size=40)}, {{name: rnd}}]")
    first, second = (build(small_config(*COUNT, *overrides)) for _ in range(2))
    learn(*first)
    state, local_state = first[0].state_dict(), first[0].local_state_dict()
    second[0].load_state_dict(state)
    second[0].load_local_state_dict(local_state, same_episodes=False)
    assert_equal(second[0].state_dict(), state)
    assert_equal(second[0].local_state_dict()["extensions"], local_state["extensions"])
    for algorithm, _ in (first, second):
        learn(algorithm, build(small_config(*COUNT))[1])
    assert_equal(second[0].state_dict(), first[0].state_dict())
    assert_equal(second[0].local_state_dict(), first[0].local_state_dict())
    assert not torch.equal(replay_rows(first[0].local_state_dict()), replay_rows(local_state))


def build(config):
    context = Context(default_registry(), config, torch.device("cpu"), config.seed, num_steps_per_env(config))
    env = context.build(config.env, "env")
    return build_algorithm(attrs.evolve(context, env=env, spec=env.spec)), env


def learn(algorithm, env):
    """An iteration, with the same random numbers every time."""
    torch.manual_seed(7)
    obs = env.reset()
    with algorithm.rollout_context():
        for _ in range(8):
            step = env.step(algorithm.act(obs))
            algorithm.process_env_step(step)
            obs = step.obs
    algorithm.update(obs)


def assert_equal(ours, theirs):
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert_equal(ours[name], theirs[name])
    elif isinstance(ours, list):
        for each in zip(ours, theirs, strict=True):
            assert_equal(*each)
    else:
        assert torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs


def test_load_policy_needs_no_motions(small_config, amp, tmp_path, write_motions):
    overrides = (*COUNT, f"algorithm.extensions=[{amp()}]")
    result = train_small(small_config, tmp_path, *overrides)
    (tmp_path / "motions.npz").unlink()
    assert load_policy(result.path)({"policy": [[0.0, 0.0]]}).shape == (1, 1)
    with pytest.raises(ConfigError, match="there is no file '.*motions.npz'"):
        train(small_config(*overrides, "iterations=4"), resume=result.path, quiet=True)


def test_config_without_motions_says_so(small_config):
    with pytest.raises(ConfigError) as caught:
        small_config("algorithm.extensions=[{name: amp}]")
    assert (
        str(caught.value) == "1 problem in cartpole:\n  algorithm.extensions[0].motions: is missing and has no default"
    )


def test_recipe_has_motions_that_lie_in_the_package():
    config = load_config("halfcheetah_amp", [])
    (component,) = config.algorithm.config.extensions
    assert (component.name, component.config.motions) == ("amp", "rslcore_amp:motions/halfcheetah.npz")


def test_train_with_amp_reads_no_scalar_on_the_host(small_config, amp, tmp_path, count_reads, reads_of_runs):
    overrides = ("algorithm.num_learning_epochs=1", "algorithm.num_mini_batches=2", "iterations=1")
    overrides += (f"algorithm.extensions=[{amp(size=4)}]",)
    run = functools.partial(train_small, small_config, tmp_path, *overrides)
    run()  # torch itself reads a scalar once, when some of its parts are first used
    # AMP leaves out pairs that are no transitions, and reports the sums of episodes: a read each in an iteration.
    assert count_reads(run) == reads_of_runs(1, 8) + 2
