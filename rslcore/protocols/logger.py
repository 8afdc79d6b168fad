"""Logger: receives the metrics of every iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rslcore.run.session import IterationRecord, RunSession


@runtime_checkable
class Logger(Protocol):
    """A logger that raises is warned about once and left out for the rest of the run; it never ends training."""

    def start(self, session: RunSession) -> None:
        """The run is about to begin; its folder exists."""

    def log(self, record: IterationRecord) -> None:
        """An iteration is done; its metrics are plain floats on the host."""

    def close(self) -> None:
        """The run has ended, well or not."""


@runtime_checkable
class StatefulLogger(Logger, Protocol):
    """A logger that goes on where it was, such as in the same run of a tracking service."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: plain containers, strings and scalars. Saved with each checkpoint."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`, called before `start` of a run that is resumed."""


@runtime_checkable
class ModelLogger(Logger, Protocol):
    """A logger that is told of the files that hold the policy, such as one that sends them to a tracking service."""

    def model_saved(self, path: Path) -> None:
        """A checkpoint, or an exported policy, is on disk and whole. It may be deleted later."""
