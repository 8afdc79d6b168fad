"""What must fit before distillation can run, with messages that say what to do."""

from __future__ import annotations

from rslcore.config import PolicyComponent, StorageComponent
from rslcore.context import Context
from rslcore.protocols import RolloutStorage, StudentTeacherPolicy
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


def build_rollout(context: Context, component: StorageComponent) -> RolloutStorage:
    """The storage.

    Raises:
        ConfigError: It keeps no rollout.
    """
    storage = context.build(component, "storage")
    if not isinstance(storage, RolloutStorage):
        raise context.error(
            "storage.name",
            f"'{component.name}' keeps no rollout, which algorithm 'distillation' learns from; write rollout",
        )
    return storage


def check_loss(config: DistillationConfig, context: Context) -> None:
    """Raises ConfigError if the loss does not suit the actions."""
    if context.env_spec.actions.is_discrete and config.loss_type != "log_likelihood":
        raise context.error(
            "loss_type",
            f"'{config.loss_type}' is for continuous actions; the env takes {context.env_spec.actions}; "
            "write log_likelihood",
        )
