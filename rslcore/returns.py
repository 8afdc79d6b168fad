"""Advantages and returns, as pure functions.

Legend: T steps, N envs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rslcore.distributed import merged_moments, num_ranks


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    dones: Tensor,
    last_values: Tensor,
    final_values: Tensor,
    gamma: float,
    lam: float,
    valid: Tensor | None = None,
) -> Tensor:
    """Generalized advantage estimation (Schulman et al. 2016, equation 16) with time-out bootstrap.

        delta_t = r_t + gamma * V(s_{t+1}) - V(s_t)
        A_t = delta_t + gamma * lam * (1 - done_t) * A_{t+1}

    where V(s_{t+1}) is 0 after a terminal state, and after a truncation the value of the true final observation, since
    `s_{t+1}` in the rollout belongs to the next episode.

    Args:
        rewards: `[T, N]`.
        values: V(s_t), `[T, N]`.
        dones: Whether the episode ended with step t, `[T, N]`, bool.
        last_values: V(s_T), `[N]`.
        final_values: V of the final observation where step t was truncated, 0 elsewhere, `[T, N]`.
        gamma: Discount, in [0, 1].
        lam: In [0, 1].
        valid: Which rows are transitions, `[T, N]`, bool; None if all are. The advantages of others are of no meaning,
            and the rows before them know of what comes by V(s_{t+1}) alone.

    Returns:
        Advantages `[T, N]`; returns are advantages + values.
    """
    for name, tensor in (("values", values), ("dones", dones), ("final_values", final_values)):
        if tensor.shape != rewards.shape:
            raise ValueError(
                f"{name} are {list(tensor.shape)} and rewards {list(rewards.shape)}; both should be [T, N]"
            )
    if last_values.shape != rewards.shape[1:]:
        raise ValueError(f"last_values are {list(last_values.shape)}, they should be {list(rewards.shape[1:])}")
    alive = dones.logical_not().to(rewards.dtype)
    next_values = torch.cat((values[1:], last_values.unsqueeze(0)))
    deltas = rewards + gamma * (alive * next_values + final_values) - values
    decay = gamma * lam * alive
    if valid is not None:
        decay[:-1].mul_(valid[1:])
    advantages = torch.empty_like(rewards)
    advantage = torch.zeros_like(last_values)
    for t in range(rewards.shape[0] - 1, -1, -1):
        advantage = torch.addcmul(deltas[t], decay[t], advantage, out=advantages[t])
    return advantages


def standardize(advantages: Tensor, over: Tensor | None = None) -> Tensor:
    """Shift and scale to mean 0 and standard deviation 1, over all ranks.

    Args:
        advantages: Any shape.
        over: The elements that the statistics are taken of, any shape; all by default. Of less than two there are none,
            and the result is zeros.
    """
    elements = advantages if over is None else over
    if num_ranks() == 1:
        if elements.numel() < 2:
            return torch.zeros_like(advantages)
        std, mean = torch.std_mean(elements)
    else:
        count, mean, variance = merged_moments(elements.flatten())
        std = (variance * count / torch.as_tensor(count - 1.0).clamp(min=1.0)).sqrt()
    return (advantages - mean) / (std + 1e-8)
