"""Ranges."""

from __future__ import annotations

import math

import pytest

from rslcore.config import Range


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        (Range(1), 1, 0, ">= 1"),
        (Range(0.0, open_low=True), 1e-9, 0.0, "> 0.0"),
        (Range(high=2.0), 2.0, 2.1, "<= 2.0"),
        (Range(high=2.0, open_high=True), 1.9, 2.0, "< 2.0"),
        (Range(0, 1), 1, 2, "[0, 1]"),
        (Range(0, 1, open_low=True, open_high=True), 0.5, 1, "(0, 1)"),
    ],
)
def test_range_holds_what_it_says(bounds, inside, outside, words):
    assert inside in bounds
    assert outside not in bounds
    assert math.nan not in bounds
    assert str(bounds) == words


def test_range_checks_each_item_of_a_sequence():
    Range(1)(None, None, (1, 2))
    with pytest.raises(ValueError, match=r"^\(1, 0\) is out of range, it must be >= 1$"):
        Range(1)(None, None, (1, 0))


def test_range_passes_what_is_not_set():
    Range(1)(None, None, None)
