"""A Gaussian that is squashed into (-1, 1) by tanh, as pure functions (Haarnoja et al. 2018, appendix C).

Legend: B rows, A actions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - as torch calls it
from torch import Tensor

MIN_LOG_STD, MAX_LOG_STD = -5.0, 2.0
"""Between which the log standard deviation is kept."""


def split_outputs(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log standard deviation before the tanh, both `[B, A]`, of network outputs `[B, 2 * A]`."""
    mean, raw = outputs.chunk(2, -1)
    middle, half = (MAX_LOG_STD + MIN_LOG_STD) / 2.0, (MAX_LOG_STD - MIN_LOG_STD) / 2.0
    return mean, middle + half * torch.tanh(raw)


def sample(mean: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
    """Random actions in (-1, 1), `[B, A]`, and their log-density summed over A, `[B]`; both can be differentiated.

    Args:
        mean: Before the tanh, `[B, A]`.
        log_std: Before the tanh, `[B, A]`.
    """
    noise = torch.randn_like(mean)
    raw = torch.addcmul(mean, log_std.exp(), noise)
    return torch.tanh(raw), log_density(raw, noise, log_std)


@torch.no_grad()
def metrics(log_std: Tensor) -> dict[str, Tensor]:
    """Mean standard deviation before the tanh, and that of the action with the smallest; `log_std` is `[B, A]`."""
    stds = log_std.exp().mean(0)
    return {"mean_std": stds.mean(), "min_std": stds.amin()}


def log_density(raw: Tensor, noise: Tensor, log_std: Tensor) -> Tensor:
    """Log-density of `tanh(raw)`, summed over A: `[B]`.

        log N(raw; mean, std) - log(1 - tanh(raw)^2),  where log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u))

    Args:
        raw: `mean + std * noise`, `[B, A]`.
        noise: `[B, A]`.
        log_std: `[B, A]`.
    """
    constant = -0.5 * math.log(2.0 * math.pi) - 2.0 * math.log(2.0)
    return (constant - 0.5 * noise.square() - log_std + 2.0 * (raw + F.softplus(-2.0 * raw))).sum(-1)
