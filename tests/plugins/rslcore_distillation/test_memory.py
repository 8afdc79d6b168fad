"""Distillation: what students and teachers remember, and what is saved."""

from __future__ import annotations

import copy

import pytest
import torch
from distilling import LSTM, RATE, N, T, collect, ended, parameters_of, valid

from rslcore.config import evolve
from rslcore.evaluation import load_policy
from rslcore.recurrence import detach, forget, zero_state
from rslcore.seeding import seed_everything


class Loop:
    """Distillation of a recurrent student written as a plain loop over steps.

    `cut` steps after a window's beginning, gradients are cut, as they should be at its end.
    """

    def __init__(self, distillation, gradient_length, epochs, cut=None):
        policy = distillation.policy
        self.student, self.distribution = copy.deepcopy(policy.student), policy.distribution
        self.gradient_length, self.epochs, self.cut = gradient_length, epochs, cut or gradient_length
        self.first_state = zero_state(policy.state_specs()["student"], N, torch.device("cpu"))

    def update(self, seen, steps, teacher_actions, error):
        parameters = list(self.student.parameters())
        for _ in range(self.epochs):
            state, loss = self.first_state, 0.0
            for t, (obs, step) in enumerate(zip(seen, steps, strict=True)):
                outputs, state = self.student(obs, state, None)
                rows = valid(step)
                errors = error(self.distribution, self.distribution.params(outputs), teacher_actions[t])
                loss = loss + errors[rows].sum() / N
                state = forget(state, ended(step))
                if (t + 1) % self.cut == 0:
                    state = detach(state)
                if (t + 1) % self.gradient_length == 0 or t + 1 == T:
                    gradients = torch.autograd.grad(loss, parameters)
                    with torch.no_grad():
                        for parameter, gradient in zip(parameters, gradients, strict=True):
                            parameter -= RATE * gradient
                    state, loss = detach(state), 0.0
        self.first_state = state
        rows = torch.cat([obs["policy"][valid(step)] for obs, step in zip(seen, steps, strict=True)])
        self.student.normalizer.update(rows)


def squared(distribution, params, targets):
    return (distribution.deterministic(params) - targets).square().mean(-1)


def likelihood(distribution, params, targets):
    return -distribution.log_prob(params, targets)


@pytest.mark.parametrize("task", ["same_step", "next_step"])
def test_update_of_a_recurrent_student_equals_a_loop_over_steps(build, pendulum_student, cartpole_student, task):
    overrides = ("algorithm.gradient_length=3", "algorithm.num_learning_epochs=2")
    if task == "same_step":
        env, distillation = build(pendulum_student(*overrides, "env.kwargs={max_episode_steps: 5}", student=LSTM))
        error = squared
    else:
        env, distillation = build(cartpole_student(*overrides, "env.kwargs={max_episode_steps: 5}", student=LSTM))
        error = likelihood
    loop = Loop(distillation, 3, 2)
    obs = env.reset()
    env.randomize_episode_steps()  # so that episodes end at different steps
    for _ in range(3):
        seen, steps, obs = collect(env, distillation, obs)
        loop.update(seen, steps, distillation.storage.column("teacher_actions").clone(), error)
        distillation.update(obs)
        for ours, theirs in zip(distillation.policy.student.parameters(), loop.student.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
        assert set(distillation._state) == {"hidden", "cell"}
        for part, state in distillation._state.items():
            torch.testing.assert_close(state, loop.first_state[part])
    assert any(state.any() for state in distillation._state.values())


def test_update_gradients_flow_within_a_window_and_not_between_two(build, pendulum_student):
    results = []
    for gradient_length, cut in ((4, 4), (4, 1), (8, 8)):
        env, distillation = build(pendulum_student("algorithm.gradient_length=4", student=LSTM))
        loop = Loop(distillation, gradient_length, 1, cut)
        seen, steps, obs = collect(env, distillation)
        loop.update(seen, steps, distillation.storage.column("teacher_actions").clone(), squared)
        distillation.update(obs)
        pairs = zip(distillation.policy.student.parameters(), loop.student.parameters(), strict=True)
        results.append(all(torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7) for ours, theirs in pairs))
    assert results == [True, False, False]


def test_act_goes_on_from_what_the_student_remembers_after_an_update(build, pendulum_student):
    env, distillation = build(pendulum_student("algorithm.gradient_length=3", student=LSTM))
    _, _, obs = collect(env, distillation)
    while_collecting = distillation._state["hidden"]
    distillation.update(obs)
    assert not torch.equal(while_collecting, distillation._state["hidden"])
    expected = distillation._state
    with distillation.rollout_context():
        _, expected = distillation.policy.student_params(obs, expected)
        distillation.act(obs)
    assert torch.equal(distillation._state["hidden"], expected["hidden"])


def test_recurrent_teacher_remembers_across_updates(build, pendulum_student, pendulum_teachers):
    # rsl_rl sets the teacher back, at every update, to what it remembered when the last rollout began.
    env, distillation = build(pendulum_student("env.kwargs={max_episode_steps: 11}", teacher="gru"))
    reference, forgetful = (load_policy(pendulum_teachers["gru"]) for _ in range(2))
    obs = env.reset()
    env.randomize_episode_steps()
    for rollout in range(3):
        forgetful.reset()
        seen, steps, obs = collect(env, distillation, obs)
        expected, wrong = [], []
        for observed, step in zip(seen, steps, strict=True):
            expected.append(reference(observed))
            wrong.append(forgetful(observed))
            reference.reset(step.dones)
            forgetful.reset(step.dones)
        actual = distillation.storage.column("teacher_actions")
        torch.testing.assert_close(actual, torch.stack(expected))
        assert torch.allclose(actual, torch.stack(wrong)) == (rollout == 0)
        distillation.update(obs)


def test_state_round_trip_goes_on_alike(build, pendulum_student):
    config = pendulum_student("algorithm.optimizer=adam", student=LSTM, teacher="gru")
    env, distillation = build(config)
    distillation.update(collect(env, distillation)[2])
    _, other = build(evolve(config, seed=5))
    other.load_state_dict(distillation.state_dict())
    distillation.load_state_dict(distillation.state_dict())
    results = []
    for algorithm in (distillation, other):
        env, _ = build(evolve(config, seed=9))
        seed_everything(3)
        results.append(algorithm.update(collect(env, algorithm)[2]))
    assert results[0] == results[1]
    assert torch.equal(parameters_of(distillation), parameters_of(other))
