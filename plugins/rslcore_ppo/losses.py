"""The losses of PPO and its learning-rate rule, as pure functions.

Legend: B rows of a minibatch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rslcore_ppo.config import MAX_LEARNING_RATE, MIN_LEARNING_RATE


def clipped_surrogate_loss(ratio: Tensor, advantages: Tensor, clip_param: float) -> Tensor:
    """The clipped surrogate objective (Schulman et al. 2017, equation 7), negated.

        L = -mean(min(ratio * A, clip(ratio, 1 - eps, 1 + eps) * A))

    Args:
        ratio: pi_new(a|s) / pi_old(a|s), `[B]`, > 0.
        advantages: `[B]`.
        clip_param: eps, > 0.

    Returns:
        Scalar.
    """
    _check_rows(ratio=ratio, advantages=advantages)
    clipped = ratio.clamp(1.0 - clip_param, 1.0 + clip_param)
    return -torch.minimum(ratio * advantages, clipped * advantages).mean()


def value_loss(values: Tensor, returns: Tensor) -> Tensor:
    """Mean squared error of values `[B]` to returns `[B]`; scalar."""
    _check_rows(values=values, returns=returns)
    return (values - returns).square().mean()


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip_param: float) -> Tensor:
    """Value loss that stops pulling once a value has moved by more than `clip_param`, as in the first code of PPO.

        L = mean(max((V - R)^2, (V_old + clip(V - V_old, -eps, eps) - R)^2))

    Args:
        values: `[B]`, of the critic now.
        old_values: `[B]`, of the critic that collected the rollout.
        returns: `[B]`.
        clip_param: eps, > 0, in units of return.

    Returns:
        Scalar.
    """
    _check_rows(values=values, old_values=old_values, returns=returns)
    clipped = old_values + (values - old_values).clamp(-clip_param, clip_param)
    return torch.maximum((values - returns).square(), (clipped - returns).square()).mean()


def estimated_kl(log_ratio: Tensor) -> Tensor:
    """KL(old || new) from actions of the old policy: unbiased, never negative (Schulman 2020, Approximating KL, k3).

        KL = E_old[r - 1 - log r],  r = pi_new(a|s) / pi_old(a|s)

    Args:
        log_ratio: log r of each action, `[B]`.

    Returns:
        An estimate a row, `[B]`, in nats.
    """
    _check_rows(log_ratio=log_ratio)
    return log_ratio.expm1() - log_ratio


def adapt_learning_rate(learning_rate: Tensor, kl: Tensor, desired_kl: float) -> None:
    """Steer a learning rate by the KL divergence, in place and without reading either on the host.

    Divided by 1.5 above `2 * desired_kl`, multiplied by 1.5 below `desired_kl / 2` (Rudin et al. 2022, section 3), kept
    in [1e-5, 1e-2].

    Args:
        learning_rate: Scalar in [1e-5, 1e-2]; changed in place.
        kl: Mean KL(old || new), scalar, in nats.
        desired_kl: > 0.
    """
    slower = (learning_rate / 1.5).clamp_(min=MIN_LEARNING_RATE)
    faster = (learning_rate * 1.5).clamp_(max=MAX_LEARNING_RATE)
    is_low = (kl < desired_kl / 2.0) & (kl > 0.0)
    learning_rate.copy_(torch.where(kl > desired_kl * 2.0, slower, torch.where(is_low, faster, learning_rate)))


def _check_rows(**tensors: Tensor) -> None:
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    if any(tensor.dim() != 1 for tensor in tensors.values()) or len({len(tensor) for tensor in tensors.values()}) != 1:
        raise ValueError(f"all should be of one shape [B], got {shapes}")
