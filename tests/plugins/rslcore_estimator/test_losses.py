"""What the encoder minimizes, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rslcore_estimator.losses import divergence_from_prior, squared_error

PREDICTION = torch.tensor([[1.0, 2.0], [0.0, 0.0], [5.0, 5.0]])
TRUTH = torch.tensor([[0.0, 0.0], [0.0, 2.0], [5.0, 6.0]])


def test_squared_error_is_a_mean_over_rows_and_features():
    # (1 + 4 + 0 + 4 + 0 + 1) / 6
    assert squared_error(PREDICTION, TRUTH).item() == pytest.approx(10.0 / 6.0)


def test_squared_error_leaves_rows_out_of_the_mask_out():
    # (1 + 4) / 2 of the first row and (0 + 1) / 2 of the last one.
    assert squared_error(PREDICTION, TRUTH, torch.tensor([True, False, True])).item() == pytest.approx(1.5)


def test_squared_error_of_no_row_is_zero():
    assert squared_error(PREDICTION, TRUTH, torch.tensor([False] * 3)).item() == 0.0


def test_divergence_from_prior_is_zero_for_the_prior():
    assert divergence_from_prior(torch.zeros(4, 3), torch.zeros(4, 3)).item() == 0.0


def test_divergence_from_prior_is_a_sum_over_the_context_and_a_mean_over_rows():
    mean = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    variance = torch.tensor([[1.0, 4.0], [1.0, 0.25]])
    # 1/2 (mean^2 + variance - 1 - log variance), by entry:
    first = 0.5 * 1.0 + 0.5 * (3.0 - math.log(4.0))
    second = 0.0 + 0.5 * (4.0 - 0.75 + math.log(4.0))
    assert divergence_from_prior(mean, variance.log()).item() == pytest.approx((first + second) / 2.0)


def test_divergence_from_prior_is_that_of_torch():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(-1).mean()
    torch.testing.assert_close(divergence_from_prior(mean, log_variance), expected)
