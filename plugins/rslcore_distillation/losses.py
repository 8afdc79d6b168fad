"""The losses of distillation, as pure functions.

Legend: B rows, A actions.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def squared_error(actions: Tensor, teacher_actions: Tensor) -> Tensor:
    """`mean_A((a - a*)^2)` of actions `[B, A]`: `[B]`."""
    return _mean(functional.mse_loss(actions, teacher_actions, reduction="none"))


def huber_error(actions: Tensor, teacher_actions: Tensor) -> Tensor:
    """`mean_A(d^2 / 2 if |d| < 1 else |d| - 1/2)` with d = a - a* (Huber 1964), of actions `[B, A]`: `[B]`."""
    return _mean(functional.huber_loss(actions, teacher_actions, reduction="none"))


def _mean(errors: Tensor) -> Tensor:
    if errors.dim() != 2:
        raise ValueError(f"actions should be [B, A], their errors are {list(errors.shape)}")
    return errors.mean(-1)
