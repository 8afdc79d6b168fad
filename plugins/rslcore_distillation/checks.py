"""What must fit before distillation can run, with messages that say what to do."""

from __future__ import annotations

from rslcore.context import Context
from rslcore_distillation.config import DistillationConfig


def check_loss(config: DistillationConfig, context: Context) -> None:
    """Raises ConfigError if the loss does not suit the actions."""
    if context.env_spec.actions.is_discrete and config.loss_type != "log_likelihood":
        raise context.error(
            "loss_type",
            f"'{config.loss_type}' is for continuous actions; the env takes {context.env_spec.actions}; "
            "write log_likelihood",
        )
