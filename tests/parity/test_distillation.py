"""Distillation computes what rsl_rl's computes: teacher's actions, losses, weights, statistics, memories."""

from __future__ import annotations

import pytest
from parity.case import GAUSSIAN, GRU, LSTM, MLP, Case
from parity.comparison import check, default_precision
from parity.runs import run_distillation

BOTH = ["policy", "privileged"]
TEACHER = MLP | {"groups": BOTH}
WINDOWS = {"gradient_length": 4}

CASES = [
    Case(name="feed-forward", teacher=TEACHER, algorithm=WINDOWS),
    Case(name="normalized", actor=MLP | {"normalize": True}, teacher=TEACHER, algorithm=WINDOWS),
    Case(name="lstm", actor=LSTM, teacher=TEACHER, algorithm=WINDOWS),
    Case(name="gru", actor=GRU | {"normalize": True, "rnn_num_layers": 2}, teacher=TEACHER, algorithm=WINDOWS),
    Case(name="lstm, whole rollout", actor=LSTM, teacher=TEACHER, algorithm={"gradient_length": 12}),
    Case(name="gru, single steps", actor=GRU, teacher=TEACHER, algorithm={"gradient_length": 1}),
    Case(name="lstm, epochs", actor=LSTM, teacher=TEACHER, algorithm=WINDOWS | {"num_learning_epochs": 3}),
    Case(name="huber", teacher=TEACHER, algorithm=WINDOWS | {"loss_type": "huber"}),
    Case(name="gradients clipped", actor=LSTM, teacher=TEACHER, algorithm=WINDOWS | {"max_grad_norm": 0.1}),
    *(
        Case(name=name, actor=LSTM, teacher=TEACHER, algorithm=WINDOWS | {"optimizer": name})
        for name in ("adamw", "sgd", "rmsprop")
    ),
    Case(name="beta", teacher=TEACHER, algorithm=WINDOWS, distribution={"name": "beta", "range": [-1.0, 1.0]}),
    Case(name="fixed std", teacher=TEACHER, algorithm=WINDOWS, distribution=GAUSSIAN | {"learn_std": False}),
]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_distillation_agrees(case, precision, record_property, monkeypatch):
    with default_precision(precision):
        check(run_distillation(case, monkeypatch), record_property)
