"""Distillation: the teacher, modes and extensions."""

from __future__ import annotations

import copy

import torch
from distilling import Recorder, T, collect, parameters_of, with_extensions

from rslcore.evaluation import load_policy
from rslcore.training import train


def test_teacher_is_in_evaluation_mode_and_stays_as_it_is(build, pendulum_student):
    env, distillation = build(pendulum_student(teacher="gru"))
    distillation.train_mode()
    teacher = distillation.policy._teacher.algorithm
    assert not teacher.policy.training
    before = copy.deepcopy(teacher.policy.state_dict())
    obs = None
    for _ in range(2):
        _, _, obs = collect(env, distillation, obs)
        distillation.update(obs)
    assert not teacher.policy.training
    for name, tensor in teacher.policy.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_modes_reach_the_student_and_extensions(build, pendulum_student):
    _, distillation = build(with_extensions(pendulum_student(), "recorder"))
    for training, switch in ((False, distillation.eval_mode), (True, distillation.train_mode)):
        switch()
        assert distillation.policy.training == distillation.policy.student.training == training
        assert Recorder.latest.dropout.training == training


def test_extensions_every_hook_is_called_as_often_as_it_should(build, pendulum_student, tmp_path, registry):
    # 3 windows and 2 epochs: 6 optimizer steps an iteration.
    overrides = ("algorithm.gradient_length=3", "algorithm.num_learning_epochs=2")
    config = with_extensions(pendulum_student(*overrides), "recorder")
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    steps = ["augment", "losses", "after_minibatch"] * 6
    rollout = ["before_act", "after_step"] * T
    assert (
        Recorder.latest.calls
        == [
            "start_iteration",
            *rollout,
            *["after_rollout", "samplers 6 12", *steps, "after_update", "metrics"],
        ]
        * 2
    )
    assert {"Loss/height", "Recorder/one"} < set(result.metrics)


def test_extensions_change_what_the_student_sees_and_not_what_the_teacher_does(
    build, pendulum_student, pendulum_teachers
):
    env, distillation = build(
        with_extensions(pendulum_student(student="{name: mlp, hidden_dims: [], groups: [policy, clock]}"), "recorder")
    )
    seen, _, _ = collect(env, distillation)
    storage = distillation.storage
    assert not storage.observations()["privileged"].any()
    assert all(obs["privileged"].any() for obs in seen)
    teacher = load_policy(pendulum_teachers["mlp"])
    torch.testing.assert_close(storage.column("teacher_actions"), torch.stack([teacher(obs) for obs in seen]))


def test_extensions_that_add_rows_do_not_lengthen_the_step(build, pendulum_student):
    results = []
    for names in ((), ("doubled",)):
        env, distillation = build(with_extensions(pendulum_student(), *names))
        distillation.update(collect(env, distillation)[2])
        results.append(parameters_of(distillation))
    torch.testing.assert_close(*results)
