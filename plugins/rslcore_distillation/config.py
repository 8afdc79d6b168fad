"""Options of distillation."""

from __future__ import annotations

from typing import Literal

from rslcore.config import ExtensionComponent, OptimizerName, Precision, Range, config, option


@config
class TeacherShareConfig:
    """Who acts while collecting: in each step, each env takes the teacher's action with this probability.

    The share goes from `initial` to `final` in a straight line over the first `num_iterations` iterations.
    """

    initial: float = option(0.0, "Share of teacher actions in the first iteration.", Range(0.0, 1.0))
    final: float = option(0.0, "Share of teacher actions in the end.", Range(0.0, 1.0))
    num_iterations: int = option(100, "Iterations until the share is `final`.", Range(1))


@config
class DistillationConfig:
    """Behaviour cloning of a teacher in the states that the student meets.

    An epoch makes `num_steps_per_env / gradient_length` optimizer steps, rounded up.
    """

    num_learning_epochs: int = option(1, "Passes over the rollout in an update.", Range(1, 10_000))
    gradient_length: int = option(
        15, "Steps between two optimizer steps, through which gradients of a recurrent student flow back.", Range(1)
    )
    loss_type: Literal["mse", "huber", "log_likelihood"] = option(
        "mse",
        "How far the student is from the teacher: squared or Huber error of its deterministic actions, or minus the "
        "log-probability of the teacher's, which suits discrete actions too.",
    )
    learning_rate: float = option(1e-3, "Of the optimizer.", Range(0.0, open_low=True))
    optimizer: OptimizerName = option("adam", "What steps the student's parameters.")
    max_grad_norm: float | None = option(
        None, "2-norm to which the student's gradient is clipped; null for no limit.", Range(0.0, open_low=True)
    )
    precision: Precision = option(
        "fp32",
        "Number format of the networks' matrix products in an update. `bf16` is faster on hardware that has it.",
    )
    teacher_share: TeacherShareConfig = option(TeacherShareConfig(), "How often the teacher acts.")
    extensions: tuple[ExtensionComponent, ...] = option((), "What plugins add to the algorithm, in this order.")
