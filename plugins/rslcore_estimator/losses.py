"""What the encoder minimizes.

Legend: B rows, D features, C size of the context.
"""

from __future__ import annotations

from torch import Tensor


def squared_error(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of `(prediction - truth)^2` over the features `[B, D]` and the rows in the mask `[B]`, or all; a scalar.

    0 if the mask is empty.
    """
    errors = (prediction - truth).square().mean(-1)
    if mask is None:
        return errors.mean()
    return (errors * mask).sum() / mask.sum().clamp(min=1)


def divergence_from_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of normal distributions `[B, C]` from the standard one; a scalar (Kingma and Welling 2014, app. B).

    `1/2 sum_C(mean^2 + variance - 1 - log variance)`, a mean over rows.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()
