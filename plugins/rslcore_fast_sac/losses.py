"""The targets and losses of soft actor-critic, as pure functions (Haarnoja et al. 2018, "algorithms and applications").

Legend: B rows of a batch, E critics.
"""

from __future__ import annotations

from torch import Tensor


def soft_values(q_values: Tensor, log_prob: Tensor, temperature: Tensor) -> Tensor:
    """Values of states in which an action was sampled (equation 3), by the most careful critic.

        V = min_e Q_e - temperature * log pi

    Args:
        q_values: `[E, B]`.
        log_prob: Of the actions, `[B]`.
        temperature: Scalar, > 0.

    Returns:
        `[B]`.
    """
    return q_values.amin(0) - temperature * log_prob


def critic_loss(q_values: Tensor, targets: Tensor) -> Tensor:
    """Squared error to targets `[B]` (equation 5), mean over B and summed over the critics `[E, B]`; scalar."""
    return 0.5 * (q_values - targets).square().mean(1).sum()


def actor_loss(q_values: Tensor, log_prob: Tensor, temperature: Tensor) -> Tensor:
    """What the actor lowers (equation 9): minus the soft values of what it does; scalar. As `soft_values`."""
    return -soft_values(q_values, log_prob, temperature).mean()


def temperature_loss(log_temperature: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """Raises the temperature while the entropy is below its target, and lowers it above (equation 18); scalar.

    As is common, the logarithm of the temperature takes the place of the temperature.

    Args:
        log_temperature: Scalar.
        log_prob: `[B]`; its mean is minus the entropy.
        target_entropy: In nats.
    """
    return -log_temperature * (log_prob.detach().mean() + target_entropy)
