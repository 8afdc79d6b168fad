"""Distillation: who acts, what an update does, what is refused."""

from __future__ import annotations

import pytest
import torch
from distilling import LINEAR, LSTM, RATE, N, T, collect, parameters_of, valid, with_extensions

from rslcore.errors import ConfigError
from rslcore.evaluation import load_policy
from rslcore.protocols import Algorithm
from rslcore_distillation.config import TeacherShareConfig
from rslcore_distillation.distillation import teacher_share


def test_distillation_is_an_algorithm(build, pendulum_student):
    assert isinstance(build(pendulum_student())[1], Algorithm)


# Who acts


def test_act_stores_observations_and_actions_of_student_and_teacher(build, pendulum_student, pendulum_teachers):
    env, distillation = build(pendulum_student())
    seen, _, _ = collect(env, distillation)
    teacher = load_policy(pendulum_teachers["mlp"])
    storage = distillation.storage
    expected = torch.stack([teacher(obs) for obs in seen])
    torch.testing.assert_close(storage.column("teacher_actions"), expected)
    assert torch.equal(storage.observations()["policy"], torch.cat([obs["policy"] for obs in seen]))
    # The student explores: its deterministic actions, and noise of the standard deviation 0.1.
    with torch.no_grad():
        params, _ = distillation.policy.student_params(storage.observations(), {})
    noise = storage.column("actions").flatten(0, 1) - params["mean"]
    assert 0.0 < noise.abs().max() < 0.5


@pytest.mark.parametrize(
    ("iteration", "share"), [(0, 0.8), (1, 0.65), (2, 0.5), (3, 0.35), (4, 0.2), (5, 0.2), (100, 0.2)]
)
def test_teacher_share_goes_in_a_straight_line(iteration, share):
    config = TeacherShareConfig(initial=0.8, final=0.2, num_iterations=4)
    assert teacher_share(config, iteration) == pytest.approx(share)


def test_teacher_share_says_whose_actions_are_taken(build, pendulum_student):
    share = "algorithm.teacher_share={initial: 1.0, final: 0.0, num_iterations: 2}"
    env, distillation = build(pendulum_student(share))
    obs, shares = None, []
    for iteration in range(3):
        distillation.start_iteration(iteration, 3)
        _, _, obs = collect(env, distillation, obs)
        actions, teacher_actions = (distillation.storage.column(name) for name in ("actions", "teacher_actions"))
        shares.append((actions == teacher_actions).float().mean().item())
        distillation.update(obs)
    assert shares[0] == 1.0
    assert 0.2 < shares[1] < 0.8
    assert shares[2] == 0.0


def test_teacher_share_without_a_schedule_lets_the_student_act(build, pendulum_student):
    env, distillation = build(pendulum_student())
    collect(env, distillation)
    storage = distillation.storage
    assert not (storage.column("actions") == storage.column("teacher_actions")).any()


# What an update does


def by_hand(storage, weight, bias, lengths):
    """SGD on the squared error of a linear student, window after window."""
    obs = storage.observations()["policy"].view(T, N, 2)
    targets = storage.column("teacher_actions")
    first = 0
    for length in lengths:
        x, target = obs[first : first + length].flatten(0, 1), targets[first : first + length].flatten(0, 1)
        error = x @ weight.T + bias - target
        # The loss is the sum over steps of the mean over envs of (a - a*)^2.
        weight = weight - RATE * 2.0 / N * error.T @ x
        bias = bias - RATE * 2.0 / N * error.sum(0)
        first += length
    return weight, bias


@pytest.mark.parametrize(
    ("gradient_length", "lengths"),
    [
        (8, [8]),
        (15, [8]),  # longer than the rollout: the whole of it
        (4, [4, 4]),
        (3, [3, 3, 2]),  # rsl_rl never learns from the last 2 steps
    ],
)
def test_update_of_a_linear_student_by_hand(build, pendulum_student, gradient_length, lengths):
    config = pendulum_student(f"algorithm.gradient_length={gradient_length}", student=LINEAR)
    env, distillation = build(config)
    _, _, obs = collect(env, distillation)
    layer = distillation.policy.student.layers[0]
    expected = by_hand(distillation.storage, layer.weight.detach().clone(), layer.bias.detach().clone(), lengths)
    metrics = distillation.update(obs)
    torch.testing.assert_close(layer.weight.detach(), expected[0])
    torch.testing.assert_close(layer.bias.detach(), expected[1])
    assert set(metrics) == {"Loss/behavior", "Loss/learning_rate", "Policy/teacher_share"}
    assert metrics["Loss/learning_rate"].item() == pytest.approx(RATE)


@pytest.mark.parametrize("loss_type", ["mse", "huber", "log_likelihood"])
def test_update_loss_is_that_of_the_config(build, pendulum_student, loss_type):
    # One window and one epoch: the loss is that before the only step.
    env, distillation = build(pendulum_student(f"algorithm.loss_type={loss_type}"))
    _, _, obs = collect(env, distillation)
    storage = distillation.storage
    with torch.no_grad():
        params, _ = distillation.policy.student_params(storage.observations(), {})
    mean, targets = params["mean"], storage.column("teacher_actions").flatten(0, 1).clone()
    before = [parameter.detach().clone() for parameter in distillation.policy.distribution.parameters()]
    expected = {
        "mse": (mean - targets).square().mean(),
        "huber": torch.nn.functional.huber_loss(mean, targets),
        "log_likelihood": -torch.distributions.Normal(mean, 0.1).log_prob(targets).mean(),
    }[loss_type]
    metrics = distillation.update(obs)
    torch.testing.assert_close(metrics["Loss/behavior"], expected)
    # Errors of deterministic actions say nothing of the standard deviation.
    (old,), (new,) = before, distillation.policy.distribution.parameters()
    assert torch.equal(old, new) == (loss_type != "log_likelihood")


@pytest.mark.parametrize("network", ["mlp", "gru", "lstm"])
def test_update_in_bf16_keeps_losses_and_memory_in_full_precision(build, pendulum_student, network):
    results = []
    for precision in ("fp32", "bf16"):
        student = f"{{name: {network}, hidden_dims: [8]}}"
        env, distillation = build(pendulum_student(f"algorithm.precision={precision}", student=student))
        _, _, obs = collect(env, distillation)
        results.append(distillation.update(obs)["Loss/behavior"])
        assert {part.dtype for part in distillation._state.values()} <= {torch.float32}
        collect(env, distillation, obs)
    assert results[0].dtype == results[1].dtype == torch.float32
    assert results[0].item() == pytest.approx(results[1].item(), rel=0.02)
    assert results[0] != results[1]


def test_update_gradient_is_clipped(build, pendulum_student):
    env, distillation = build(pendulum_student("algorithm.max_grad_norm=0.01"))
    _, _, obs = collect(env, distillation)
    before = parameters_of(distillation)
    distillation.update(obs)
    # SGD's step is the learning rate times the gradient, here of the norm 0.01.
    assert (parameters_of(distillation) - before).norm().item() == pytest.approx(RATE * 0.01, rel=1e-3)


def test_update_normalizes_after_it_over_valid_rows(build, cartpole_student):
    env, distillation = build(cartpole_student(student=LSTM))
    _, steps, obs = collect(env, distillation)
    distillation.update(obs)
    assert distillation.policy.student.normalizer.count == sum(valid(step).sum() for step in steps)


@pytest.mark.parametrize("student", ["{name: mlp, hidden_dims: [8]}", LSTM], ids=["mlp", "lstm"])
@pytest.mark.parametrize("gradient_length", [1, 3])  # with 1, a window has no valid row at all
def test_update_does_not_learn_from_invalid_rows(build, cartpole_student, student, gradient_length):
    overrides = (f"algorithm.gradient_length={gradient_length}", "algorithm.num_learning_epochs=2")
    env, distillation = build(cartpole_student(*overrides, student=student))
    _, steps, obs = collect(env, distillation)
    invalid = ~torch.stack([valid(step) for step in steps])
    assert invalid.all(1).any()
    distillation.storage._obs["policy"][invalid] = torch.nan
    before = parameters_of(distillation)
    metrics = distillation.update(obs)
    assert metrics["Loss/behavior"].isfinite()
    assert parameters_of(distillation).isfinite().all()
    assert not torch.equal(before, parameters_of(distillation))


# What is refused


def error_of(build, config):
    with pytest.raises(ConfigError) as caught:
        build(config)
    return str(caught.value)


def test_extension_that_changes_rewards_is_refused(build, pendulum_student):
    assert error_of(build, with_extensions(pendulum_student(), "recorder", "shaper")) == (
        "algorithm.extensions[1]: 'shaper' works through `shape_reward`, which 'distillation' never calls; leave it out"
    )


@pytest.mark.parametrize("loss_type", ["mse", "huber"])
def test_distance_of_discrete_actions_is_refused(build, cartpole_student, loss_type):
    assert error_of(build, cartpole_student(f"algorithm.loss_type={loss_type}")) == (
        f"algorithm.loss_type: '{loss_type}' is for continuous actions; the env takes 1 discrete with 2 choices; "
        "write log_likelihood"
    )


def test_policy_without_student_and_teacher_is_refused(build, small_config):
    assert error_of(build, small_config("algorithm={name: distillation}", recipe="pendulum")) == (
        "policy.name: 'actor_critic' has no student and teacher, which algorithm 'distillation' needs"
    )


def test_symmetry_is_refused(build, pendulum_student):
    extension = "algorithm.extensions=[{name: symmetry, function: 'envs:register'}]"
    assert error_of(build, pendulum_student(extension)) == (
        "algorithm.extensions[0].name: 'symmetry' needs a policy with an actor and a critic"
    )
