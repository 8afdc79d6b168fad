"""Logger: receives the metrics of every iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
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
