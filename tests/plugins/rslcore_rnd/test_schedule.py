"""The weight by env step."""

from __future__ import annotations

import pytest

from rslcore_rnd.config import WeightScheduleConfig
from rslcore_rnd.schedule import scheduled_weight


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mode": "constant"}, {1: 0.5, 1000: 0.5}),
        ({"mode": "step", "final_step": 10, "final_value": 2.0}, {1: 0.5, 9: 0.5, 10: 2.0, 11: 2.0}),
        (
            {"mode": "linear", "initial_step": 10, "final_step": 20, "final_value": 2.5},
            {1: 0.5, 10: 0.5, 11: 0.7, 15: 1.5, 19: 2.3, 20: 2.5, 21: 2.5},
        ),
        ({"mode": "linear", "final_step": 4, "final_value": 0.1}, {1: 0.4, 2: 0.3, 3: 0.2, 4: 0.1, 5: 0.1}),
    ],
    ids=["constant", "step", "linear", "linear_down"],
)
def test_scheduled_weight_at_and_around_its_ends(options, expected):
    schedule = WeightScheduleConfig(**options)
    assert {step: scheduled_weight(0.5, schedule, step) for step in expected} == pytest.approx(expected)
