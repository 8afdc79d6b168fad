"""Declares the policy `student_teacher`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register student and teacher."""
    registry.add_policy(
        "student_teacher",
        factory="rslcore_student_teacher.policy:StudentTeacher",
        config="rslcore_student_teacher.config:StudentTeacherConfig",
        summary="A student with a network of its own, and a teacher that another run has trained.",
    )
