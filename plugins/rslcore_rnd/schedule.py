"""The weight of the reward as a function of the env steps of the run."""

from __future__ import annotations

from rslcore_rnd.config import WeightScheduleConfig


def scheduled_weight(weight: float, schedule: WeightScheduleConfig, step: int) -> float:
    """The weight at an env step, counted from 1; `weight` is what the schedule begins with."""
    first, last, final_value = schedule.initial_step, schedule.final_step, schedule.final_value
    if schedule.mode == "constant" or last is None or final_value is None:  # the others have both
        return weight
    if step >= last:
        return final_value
    if schedule.mode == "step" or step < first:
        return weight
    return weight + (final_value - weight) * (step - first) / (last - first)
