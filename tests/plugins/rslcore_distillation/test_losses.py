"""The losses of distillation, by hand."""

from __future__ import annotations

import pytest
import torch

from rslcore_distillation.losses import huber_error, squared_error

ACTIONS = torch.tensor([[1.0, 2.0], [0.0, -3.0]])
TEACHER_ACTIONS = torch.tensor([[0.5, 0.0], [0.0, 1.0]])


def test_squared_error_is_the_mean_over_actions():
    # Differences 0.5, 2 and 0, -4: (0.25 + 4) / 2 and (0 + 16) / 2.
    assert squared_error(ACTIONS, TEACHER_ACTIONS).tolist() == [2.125, 8.0]


def test_huber_error_is_linear_from_one_on():
    # (0.5 * 0.25 + (2 - 0.5)) / 2 and (0 + (4 - 0.5)) / 2.
    assert huber_error(ACTIONS, TEACHER_ACTIONS).tolist() == [0.8125, 1.75]


def test_errors_of_actions_without_a_column_are_refused():
    # [B] against [B] would pass for B actions of one row.
    with pytest.raises(ValueError, match=r"^actions should be \[B, A\], their errors are \[3\]$"):
        squared_error(torch.zeros(3), torch.zeros(3))
