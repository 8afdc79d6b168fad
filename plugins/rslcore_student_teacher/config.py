"""Options of student and teacher."""

from __future__ import annotations

import attrs

from rslcore.config import DistributionComponent, NetworkComponent, config, option


@config
class StudentConfig:
    """From observations to a distribution over actions."""

    network: NetworkComponent = option(
        attrs.NOTHING, "Maps observations, those that the robot will have, to the distribution's parameters."
    )
    distribution: DistributionComponent = option(
        attrs.NOTHING, "What actions are drawn from while collecting; the robot gets its deterministic ones."
    )


@config
class TeacherConfig:
    """A trained run. Its policy, normalizers and extensions are taken as they are, whatever their algorithm."""

    run: str = option(
        attrs.NOTHING,
        "The run's folder, a checkpoint in it, or an experiment's folder, whose latest run is taken.",
    )
    checkpoint: str = option("latest", "`latest`, an iteration, or a file.")


@config
class StudentTeacherConfig:
    """A student that learns to act as a teacher does."""

    student: StudentConfig = option(attrs.NOTHING, "Learns.")
    teacher: TeacherConfig = option(attrs.NOTHING, "Is imitated.")
