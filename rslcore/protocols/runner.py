"""Runner: the loop."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Runner(Protocol):
    """Built as `factory(config, context, env=..., algorithm=..., session=...)`.

    Its config has a field `num_steps_per_env`, the T of the rollout.
    """

    def learn(self) -> None:
        """Train from `session.iteration` to `session.total_iterations`, logging and saving through the session."""
