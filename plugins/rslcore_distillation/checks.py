"""What must fit before distillation can run, with messages that say what to do."""

from __future__ import annotations

from rslcore.config import PolicyComponent
from rslcore.context import Context
from rslcore.protocols import StudentTeacherPolicy
from rslcore_distillation.config import DistillationConfig


def build_student_teacher(context: Context, component: PolicyComponent) -> StudentTeacherPolicy:
    """The policy.

    Raises:
        ConfigError: It has no student and teacher.
    """
    policy = context.build(component, "policy")
    if not isinstance(policy, StudentTeacherPolicy):
        raise context.error(
            "policy.name", f"'{component.name}' has no student and teacher, which algorithm 'distillation' needs"
        )
    return policy


def check_loss(config: DistillationConfig, context: Context) -> None:
    """Raises ConfigError if the loss does not suit the actions."""
    if context.env_spec.actions.is_discrete and config.loss_type != "log_likelihood":
        raise context.error(
            "loss_type",
            f"'{config.loss_type}' is for continuous actions; the env takes {context.env_spec.actions}; "
            "write log_likelihood",
        )
