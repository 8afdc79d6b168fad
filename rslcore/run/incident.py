"""Numbers that went wrong, as they are reported: what, where, the last good checkpoint, and where the evidence is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from rslcore import __version__
from rslcore.distributed import gather_on_main, is_main, rank
from rslcore.errors import BadNumbersError
from rslcore.run.files import write_atomically
from rslcore.run.folder import RunFolder

_log = logging.getLogger(__name__)

Evidence = Callable[[], Mapping[str, Any]]
"""Gives plain tensors and containers to save."""


class Incidents:
    """Reports numbers that went wrong, and saves the evidence of the first time: rank 0 writes, for all.

    Attributes:
        folder: The run's, once it has begun; None if it leaves nothing on disk.
    """

    def __init__(self) -> None:
        self.folder: RunFolder | None = None
        self._saved = False
        self._warned: set[str] = set()

    def fatal(self, iteration: int, found: Iterable[str], evidence: Evidence, origin: int | None) -> BadNumbersError:
        """The error that ends a run.

        Args:
            iteration: In which it happened, counted from 1.
            found: What went wrong, a clause each, the cause first.
            evidence: Asked on the rank whose evidence is saved.
            origin: That rank. All of them call this then; None if this one alone does, and saves its own.
        """
        clauses = list(found)
        last = None if self.folder is None else next(reversed(self.folder.checkpoints().values()), None)
        advice = f"the last checkpoint is {last}" if last else "there is no checkpoint yet"
        saved = self._save(iteration, clauses, evidence, origin)
        return BadNumbersError(f"iteration {iteration}: {', then '.join(clauses)}; the run ends here, {advice}{saved}")

    def warn(
        self, kind: str, iteration: int, found: Iterable[str], what_is_done: str, evidence: Evidence, origin: int
    ) -> None:
        """Say, the first time of a kind of incident, that a run goes on in spite of it; all ranks call this."""
        if kind in self._warned:
            return
        self._warned.add(kind)
        clauses = list(found)
        saved = self._save(iteration, clauses, evidence, origin)
        if is_main():
            text = ", then ".join(clauses)
            _log.warning("iteration %d: %s; %s (this is said once)%s", iteration, text, what_is_done, saved)

    def _save(self, iteration: int, clauses: list[str], evidence: Evidence, origin: int | None) -> str:
        """Write the file; the clause that says where, empty if there is one already."""
        if self._saved:
            return ""
        self._saved = True
        collected = _collected(evidence, origin)
        if not is_main() or self.folder is None:
            return ""
        path = self.folder.evidence_path(iteration)
        try:
            if isinstance(collected, RuntimeError):
                raise collected
            payload = {"rslcore": __version__, "iteration": iteration, "found": clauses, **collected}
            write_atomically(path, lambda file: torch.save(payload, file))
        except (OSError, RuntimeError) as error:  # a full disk, a full device: the report matters more
            return f"; what was collected could not be saved: {str(error).splitlines()[0]}"
        return f"; what was collected is in {path}"


def _collected(evidence: Evidence, origin: int | None) -> Mapping[str, Any] | RuntimeError:
    """The evidence of a rank, on rank 0, or why there is none; `origin` as for `Incidents.fatal`."""
    own: Mapping[str, Any] | RuntimeError = {}
    if origin is None or rank() == origin:
        try:
            own = {"rank": rank(), **evidence()}
        except RuntimeError as error:  # the others wait for this rank, whatever has become of its device
            own = RuntimeError(str(error))
    return own if origin is None else next(iter(gather_on_main(own)[origin:]), {})
