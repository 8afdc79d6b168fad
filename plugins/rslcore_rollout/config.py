"""Options of the rollout storage: none, its size follows from the env and the runner."""

from __future__ import annotations

from rslcore.config import config


@config
class RolloutConfig:
    """Storage of one rollout, `num_steps_per_env * num_envs` transitions."""
