"""The estimator in whole runs: histories, inference, checkpoints, and beside other extensions."""

from __future__ import annotations

import functools

import gymnasium
import pytest
import torch
from envs import Count
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from rslcore.evaluation import evaluate, load_policy
from rslcore.run.checkpoint import load_checkpoint
from rslcore.training import train
from rslcore_estimator.extension import Estimator

VARIATIONAL = "algorithm.extensions=[{name: estimator, loss: variational}]"


@pytest.fixture
def run(small_config, tmp_path):
    """Train `pendulum_estimator`, made small, with overrides."""

    def train_with(*overrides, **options):
        small = ("algorithm.num_learning_epochs=2", "algorithm.num_mini_batches=2")
        config = small_config(*small, *overrides, recipe="pendulum_estimator")
        return train(config, log_root=tmp_path, quiet=True, **options)

    return train_with


def resets_next_step(num_envs, max_episode_steps):
    return SyncVectorEnv([lambda: TimeLimit(Count(), max_episode_steps)] * num_envs)


@pytest.fixture(params=["rslcore_tests/Count-v0", "rslcore_tests/CountNextStep-v0"])
def count_id(request):
    """An env that observes `[episode, step]`, three steps at most; it resets in the same step, or in the next one."""
    if "rslcore_tests/CountNextStep-v0" not in gymnasium.registry:
        gymnasium.register("rslcore_tests/CountNextStep-v0", vector_entry_point=resets_next_step, max_episode_steps=3)
    return request.param


def test_train_histories_are_those_of_the_episode(run, count_id, monkeypatch):
    rollouts = []

    def keep(self, storage):
        valid = torch.ones(8, 4, dtype=torch.bool) if storage.valid is None else storage.valid.clone()
        rollouts.append((storage.column("estimate/history").clone(), valid))

    monkeypatch.setattr(Estimator, "after_update", keep)
    run(
        f"env.id={count_id}",
        "env.groups={policy: [0, 1], privileged: [1]}",
        "policy.actor.network.output_scale=1.0",
        "policy.actor.distribution={name: categorical}",
        "algorithm.extensions=[{name: estimator, history_length: 3}]",
        "iterations=4",
    )
    assert len(rollouts) == 4
    for histories, valid in rollouts:
        episode, step = histories[valid].unbind(-1)  # [B, H] each
        assert (episode == episode[:, -1:]).all()
        assert step.tolist() == [[max(last - 2, 0), max(last - 1, 0), last] for last in step[:, -1].tolist()]
        assert set(step[:, -1].tolist()) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("loss", ["regression", "variational"])
def test_train_makes_the_estimate_better(run, loss):
    overrides = (f"algorithm.extensions=[{{name: estimator, loss: {loss}}}]", "runner.num_steps_per_env=64")
    errors = [run(*overrides, f"iterations={count}").metrics["Loss/estimator"] for count in (1, 12)]
    assert errors[1] < 0.7 * errors[0]


def test_train_gives_no_gradient_of_the_policy_to_the_encoder(run, monkeypatch):
    before = []
    monkeypatch.setattr(Estimator, "losses", lambda self, batch, outputs: {})
    monkeypatch.setattr(
        Estimator,
        "start_iteration",
        lambda self, iteration, total: before.append([p.detach().clone() for p in self.networks.parameters()]),
    )
    result = run()
    after = load_checkpoint(result.path / "model_2.pt").algorithm["modules"]["estimator"]["module"]
    assert all(torch.equal(a, b) for a, b in zip(before[0], before[1], strict=True))
    assert any(torch.equal(weight, before[0][0]) for weight in after.values())


@pytest.mark.parametrize("extension", ["algorithm.precision=fp32", VARIATIONAL], ids=["regression", "variational"])
def test_policy_acts_without_the_targets(run, extension):
    result = run(extension)
    assert len(evaluate(result.path, episodes=4).returns) == 4
    policy = load_policy(result.path)
    assert policy.groups == ("policy",)
    first, second = ({"policy": torch.tensor([row])} for row in ([1.0, 0.0], [0.8, 0.6]))
    actions = [policy(first), policy(second)]
    policy.reset()
    assert torch.equal(policy(first), actions[0])
    policy.reset(torch.tensor([True]))
    assert not torch.equal(policy(second), actions[1])  # without the first observation in its history


def test_train_resumed_goes_on_with_networks_statistics_and_optimizer(run):
    first = run(VARIATIONAL)
    saved = load_checkpoint(first.path / "model_2.pt").algorithm
    assert saved["extensions"] == {"estimator": {}}
    resumed = run(VARIATIONAL, "iterations=3", resume=first.path)
    after = load_checkpoint(resumed.path / "model_3.pt").algorithm
    before, after = (state["modules"]["estimator"] for state in (saved, after))
    assert after["module"]["features.count"] == before["module"]["features.count"] + 8 * 4
    assert after["optimizer"]["groups"][0]["steps"] == before["optimizer"]["groups"][0]["steps"] + 2 * 2


def test_train_with_rnd_learns_saves_and_resumes_both(run):
    both = "algorithm.extensions=[{name: rnd}, {name: estimator}, {name: rnd, groups: [privileged]}]"
    first = run(both)
    assert {"Loss/rnd", "Loss/rnd#2", "Loss/estimator"} <= set(first.metrics)
    resumed = run(both, "iterations=3", resume=first.path)
    before, after = (
        load_checkpoint(path).algorithm["modules"] for path in (first.path / "model_2.pt", resumed.path / "model_3.pt")
    )
    assert before.keys() == after.keys() == {"policy", "rnd", "estimator", "rnd#2"}
    for name in ("rnd", "estimator", "rnd#2"):
        steps = [state[name]["optimizer"]["groups"][0]["steps"].item() for state in (before, after)]
        assert steps == [2 * 4, 3 * 4]


def test_train_with_two_estimators(run):
    result = run(
        "algorithm.extensions=[{name: estimator}, {name: estimator, output_group: other, loss: variational}]",
        "policy.actor.network.groups=[policy, estimate, other]",
    )
    assert {"Loss/estimator", "Loss/estimator#2", "Loss/estimator_divergence"} <= set(result.metrics)


def test_train_with_a_memory(run):
    network = "{name: gru, groups: [policy, estimate], rnn_hidden_dim: 8, hidden_dims: [8]}"
    assert "Loss/estimator" in run(f"policy.actor.network={network}").metrics


def test_train_of_a_student_reads_the_estimate(pendulum_student, tmp_path):
    student = "{name: mlp, groups: [policy, estimate], hidden_dims: [8]}"
    config = pendulum_student(VARIATIONAL, student=student)
    metrics = train(config, log_root=tmp_path, quiet=True).metrics
    assert {"Loss/behavior", "Loss/estimator"} <= set(metrics)


@pytest.mark.parametrize("extension", ["algorithm.precision=fp32", VARIATIONAL], ids=["regression", "variational"])
def test_train_reads_no_tensor_on_the_host(run, count_reads, reads_of_runs, extension):
    train_once = functools.partial(run, extension)
    train_once()  # torch itself reads a scalar once, when some of its parts are first used
    assert count_reads(train_once) == reads_of_runs(2, 8)
