"""A run from folder to policy and returns."""

from __future__ import annotations

import re

import numpy
import pytest
import torch
from damaging import rewrite

from rslcore.config import load_config
from rslcore.errors import CheckpointError, ConfigError, RunError
from rslcore.evaluation import InferencePolicy, evaluate, load_policy
from rslcore.registry import default_registry
from rslcore.run.checkpoint import load_checkpoint
from rslcore.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = load_config(
        "pendulum",
        ["iterations=2", "runner.save_interval=1", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]"],
    )
    return train(config, log_root=tmp_path_factory.mktemp("logs"), quiet=True).path


def test_evaluate_plays_whole_episodes(run):
    result = evaluate(run, episodes=6)
    assert result.checkpoint == run / "model_2.pt"
    assert result.iteration == 2
    assert result.lengths == (200,) * 6
    assert all(-2000 < value < 0 for value in result.returns)
    summary = result.summary()
    assert summary["length"] == {"mean": 200.0, "std": 0.0, "min": 200.0, "max": 200.0}
    assert summary["return"]["mean"] == pytest.approx(numpy.mean(result.returns))
    assert summary["return"]["min"] == min(result.returns)


def test_evaluate_is_the_same_for_the_same_seed(run):
    assert evaluate(run, episodes=4, seed=3).returns == evaluate(run, episodes=4, seed=3).returns
    assert evaluate(run, episodes=4, seed=3).returns != evaluate(run, episodes=4, seed=4).returns


def test_evaluate_fewer_episodes_than_envs(run):
    assert len(evaluate(run, episodes=1).returns) == 1


def test_evaluate_gives_every_env_its_share(small_config, tmp_path):
    # Count's episodes last as long as the policy likes; a policy that ends at once must not fill the quota of others.
    config = small_config("env.id=rslcore_tests/Count-v0", "env.vectorization=sync", "env.num_envs=3")
    path = train(config, log_root=tmp_path, quiet=True).path
    assert len(evaluate(path, episodes=7).returns) == 7


def test_evaluate_next_step_autoreset_counts_real_steps_only(small_config, tmp_path):
    config = small_config("env.kwargs={max_episode_steps: 3}")
    path = train(config, log_root=tmp_path, quiet=True).path
    result = evaluate(path, episodes=10)
    assert result.lengths == (3,) * 10
    assert result.returns == (3.0,) * 10


def test_evaluate_chosen_checkpoint(run):
    assert evaluate(run, checkpoint="1", episodes=1).iteration == 1
    assert evaluate(run / "model_1.pt", episodes=1).iteration == 1
    with pytest.raises(RunError, match="has no checkpoint of iteration 9; it has 1, 2$"):
        evaluate(run, checkpoint="9")


def test_evaluate_env_that_has_changed_is_refused(small_config, tmp_path):
    path = train(small_config(), log_root=tmp_path, quiet=True).path
    file = path / "model_2.pt"
    payload = torch.load(file, weights_only=True)
    payload["config"]["env"]["id"] = "Acrobot-v1"
    rewrite(file, payload)
    with pytest.raises(CheckpointError, match="was trained with observations .* the env now has "):
        evaluate(path)


def test_load_policy_acts_as_the_checkpoint_says(run):
    policy = load_policy(run)
    obs = torch.randn(5, 3)
    actions = policy({"policy": obs})
    assert actions.shape == (5, 1)
    weights = load_checkpoint(run / "model_2.pt").algorithm["modules"]["policy"]["module"]
    mean, variance = weights["actor.normalizer.mean"], weights["actor.normalizer.variance"]
    assert not torch.equal(mean, torch.zeros(3))
    hidden = (obs - mean) / (variance.sqrt() + 1e-2)
    for index in (0, 2):
        hidden = torch.nn.functional.elu(
            hidden @ weights[f"actor.layers.{index}.weight"].T + weights[f"actor.layers.{index}.bias"]
        )
    expected = hidden @ weights["actor.layers.4.weight"].T + weights["actor.layers.4.bias"]
    torch.testing.assert_close(actions, expected)


def test_load_policy_takes_arrays(run):
    assert load_policy(run)({"policy": numpy.zeros((2, 3), dtype=numpy.float32)}).shape == (2, 1)


def test_load_policy_does_not_need_the_env(run, monkeypatch):
    monkeypatch.setattr("rslcore_gymnasium.env.GymnasiumEnv.__init__", None)
    assert load_policy(run).spec.observations["policy"].shape == (3,)


def test_load_policy_without_a_run(tmp_path):
    with pytest.raises(RunError, match="^there is no run "):
        load_policy(tmp_path / "nothing")


def test_load_policy_from_a_checkpoint_that_was_copied_elsewhere(run, tmp_path):
    copied = tmp_path / "solo.pt"
    copied.write_bytes((run / "model_2.pt").read_bytes())
    assert load_policy(copied)({"policy": numpy.zeros((1, 3), dtype=numpy.float32)}).shape == (1, 1)


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        ({}, "^the policy needs the observation group 'policy', it was given none$"),
        ({"policy": numpy.zeros(3)}, r"^observation group 'policy' should be \[N, 3\], it is \[3\]$"),
        ({"policy": numpy.zeros((1, 4))}, r"^observation group 'policy' should be \[N, 3\], it is \[1, 4\]$"),
    ],
)
def test_load_policy_refuses_observations_that_do_not_fit(run, obs, message):
    with pytest.raises(ValueError, match=message):
        load_policy(run)(obs)


def test_load_policy_needs_only_what_the_actor_reads(small_config, tmp_path):
    overrides = ("env.groups={policy: [0, 2], privileged: [0, 1, 2, 3]}", "policy.critic.network.groups=[privileged]")
    policy = load_policy(train(small_config(*overrides), log_root=tmp_path, quiet=True).path)
    assert policy.groups == ("policy",)
    assert policy({"policy": numpy.zeros((2, 2))}).shape == (2, 1)
    with pytest.raises(
        ValueError, match="^the policy needs the observation group 'policy', it was given 'privileged'$"
    ):
        policy({"privileged": numpy.zeros((2, 4))})


def test_load_policy_takes_double_precision_as_mujoco_gives_it(run):
    policy = load_policy(run)
    single = numpy.ones((2, 3), dtype=numpy.float32)
    assert torch.equal(policy({"policy": single}), policy({"policy": single.astype(numpy.float64)}))


@pytest.mark.parametrize("dones", [None, numpy.array([True, False]), [0, 1], torch.tensor([0, 1])])
def test_load_policy_resets_by_any_kind_of_flags(run, dones):
    policy = load_policy(run)
    policy({"policy": numpy.zeros((2, 3))})
    policy.reset(dones)


def test_load_policy_refuses_a_bare_array(run):
    with pytest.raises(TypeError, match="^observations should be a mapping with the groups 'policy', not ndarray$"):
        load_policy(run)(numpy.zeros((1, 3)))


def test_evaluate_takes_a_checkpoint_as_a_number(run):
    assert evaluate(run, checkpoint=1, episodes=1).iteration == 1


def test_evaluate_no_episode_is_refused(run):
    with pytest.raises(ValueError, match="^episodes should be at least 1, it is 0$"):
        evaluate(run, episodes=0)


def test_state_of_a_policy_is_plain_and_makes_the_same_policy(small_config, tmp_path):
    network = "{name: gru, rnn_hidden_dim: 6, hidden_dims: [8], normalize: true}"
    config = small_config(
        f"policy.actor.network={network}", "env.kwargs={max_episode_steps: 5}", "algorithm.num_mini_batches=2"
    )
    policy = load_policy(train(config, log_root=tmp_path, quiet=True).path)
    torch.save(policy.state_dict(), tmp_path / "policy.pt")
    state = torch.load(tmp_path / "policy.pt", weights_only=True)
    other = InferencePolicy.from_state(state, torch.device("cpu"), default_registry())
    assert other.spec == policy.spec
    for reset in (None, torch.tensor([True, False, False]), None):
        obs = {"policy": torch.randn(3, 4)}
        assert torch.equal(other(obs), policy(obs))
        if reset is not None:
            policy.reset(reset)
            other.reset(reset)


def test_state_of_a_policy_whose_plugin_is_not_installed_is_refused(run):
    state = load_policy(run).state_dict()
    state["config"]["algorithm"]["name"] = "ppo2"
    message = (
        "^1 problem in the config of a policy in the checkpoint:\n"
        "  algorithm.name: there is no algorithm 'ppo2'; did you mean 'ppo'"
    )
    with pytest.raises(ConfigError, match=message):
        InferencePolicy.from_state(state, torch.device("cpu"), default_registry())


def test_evaluate_builds_the_policy_without_the_env(run, monkeypatch):
    from rslcore import evaluation

    built = []
    original = evaluation.build_algorithm
    monkeypatch.setattr(evaluation, "build_algorithm", lambda context: built.append(context) or original(context))
    evaluate(run, episodes=1)
    assert [(context.env, context.restoring) for context in built] == [(None, True)]


def test_evaluate_in_another_env_than_in_training(run):
    result = evaluate(run, episodes=3, overrides=["env.num_envs=3", "env.kwargs={max_episode_steps: 7}"])
    assert max(result.lengths) <= 7


def test_evaluate_changes_nothing_but_the_env(run):
    message = (
        "2 problems:\n  algorithm.gamma: is the run's own; only the env may be changed, by env.key=value\n"
        "  seed: is the run's own; only the env may be changed, by env.key=value"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        evaluate(run, overrides=["algorithm.gamma=0.5", "env.num_envs=2", "seed=4"])
