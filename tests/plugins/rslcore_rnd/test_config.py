"""What is wrong with a config is said with its path."""

from __future__ import annotations

import pytest

from rslcore.errors import ConfigError
from rslcore_rnd.config import WeightScheduleConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "weight_schedule: {mode: step}",
            "2 problems in cartpole:\n"
            "  algorithm.extensions[0].weight_schedule.final_step: is missing; mode 'step' needs it\n"
            "  algorithm.extensions[0].weight_schedule.final_value: is missing; mode 'step' needs it",
        ),
        (
            "weight_schedule: {mode: linear, final_step: 5}",
            "1 problem in cartpole:\n"
            "  algorithm.extensions[0].weight_schedule.final_value: is missing; mode 'linear' needs it",
        ),
        (
            "weight_schedule: {mode: linear, initial_step: 5, final_step: 5, final_value: 0.0}",
            "1 problem in cartpole:\n"
            "  algorithm.extensions[0].weight_schedule.final_step: 5 must be greater than initial_step, 5",
        ),
        (
            "weight: -1.0",
            "1 problem in cartpole:\n  algorithm.extensions[0].weight: -1.0 is out of range, it must be >= 0.0",
        ),
        (
            "predictor_hidden_dims: [-1]",
            "1 problem in cartpole:\n"
            "  algorithm.extensions[0].predictor_hidden_dims: (-1,) is out of range, it must be in [1, 65536]",
        ),
    ],
    ids=["step", "linear", "linear_order", "weight", "width"],
)
def test_config_that_is_wrong_is_refused(small_config, options, message):
    with pytest.raises(ConfigError) as caught:
        small_config(f"algorithm.extensions=[{{name: rnd, {options}}}]")
    assert str(caught.value) == message


def test_config_step_schedule_ignores_initial_step(small_config):
    schedule = "{mode: step, initial_step: 9, final_step: 3, final_value: 0.0}"
    small_config(f"algorithm.extensions=[{{name: rnd, weight_schedule: {schedule}}}]")


def test_schedule_options_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError) as caught:
        WeightScheduleConfig(final_step=3, final_value=0.0)
    assert [str(problem) for problem in caught.value.problems] == [
        "final_step: means nothing to mode 'constant'; write mode: step or linear",
        "final_value: means nothing to mode 'constant'; write mode: step or linear",
    ]
