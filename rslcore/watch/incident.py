"""Numbers that went wrong, as they are reported: what, where, the last good checkpoint, and where the evidence is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from rslcore import __version__
from rslcore.distributed import is_main
from rslcore.errors import RunError
from rslcore.run.files import write_atomically
from rslcore.run.folder import RunFolder
from rslcore.watch.numbers import Finding

_log = logging.getLogger(__name__)


class BadNumbersError(RunError):
    """Numbers have gone wrong, and the run ends for it."""


class Incidents:
    """Reports numbers that went wrong, and saves the evidence of the first time, on rank 0.

    Attributes:
        folder: The run's, once it has begun.
    """

    def __init__(self) -> None:
        self.folder: RunFolder | None = None
        self._saved = False
        self._warned: set[str] = set()

    def fatal(self, iteration: int, found: Iterable[str], evidence: Callable[[], Mapping[str, Any]]) -> BadNumbersError:
        """The error that ends a run.

        Args:
            iteration: In which it happened, counted from 1.
            found: What went wrong, a clause each, the cause first.
            evidence: Gives plain tensors and containers to save.
        """
        clauses = list(found)
        assert self.folder is not None, "a run has no incidents before it begins"
        last = next(reversed(self.folder.checkpoints().values()), None)
        advice = f"the last checkpoint is {last}" if last else "there is no checkpoint yet"
        saved = self._save(iteration, clauses, evidence)
        return BadNumbersError(f"iteration {iteration}: {', then '.join(clauses)}; the run ends here, {advice}{saved}")

    def warn(
        self,
        kind: str,
        iteration: int,
        found: Iterable[str],
        what_is_done: str,
        evidence: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Say, the first time of a kind of incident, that a run goes on in spite of it, on rank 0."""
        if kind in self._warned or not is_main():
            return
        self._warned.add(kind)
        clauses = list(found)
        saved = self._save(iteration, clauses, evidence)
        _log.warning(
            "iteration %d: %s; %s, which is said once%s",
            iteration,
            ", then ".join(clauses),
            what_is_done,
            saved,
        )

    def _save(self, iteration: int, clauses: list[str], evidence: Callable[[], Mapping[str, Any]]) -> str:
        """Write `bad_numbers_<iteration>.pt`; the clause that says where, empty if there is one already."""
        if self._saved or not is_main():
            return ""
        self._saved = True
        assert self.folder is not None, "a run has no incidents before it begins"
        path = self.folder.path / f"bad_numbers_{iteration}.pt"
        try:
            payload = {"rslcore": __version__, "iteration": iteration, "found": clauses, **evidence()}
            write_atomically(path, lambda file: torch.save(payload, file))
        except (OSError, RuntimeError) as error:  # a full disk, a full device: the report matters more
            return f"; what was collected could not be saved: {str(error).splitlines()[0]}"
        return f"; what was collected is in {path}"


def described(findings: Iterable[Finding], num_steps: int, num_envs: int) -> list[str]:
    """A clause for each finding: what, in which envs, and at which step."""
    clauses = []
    for finding in findings:
        shown = ", ".join(map(str, finding.envs[:5]))
        more = ", ..." if len(finding.envs) > 5 else ""
        who = f"env {shown}" if len(finding.envs) == 1 else f"{len(finding.envs)} envs ({shown}{more})"
        when = f"step {finding.step} of {num_steps}" if finding.step else "the beginning"
        clauses.append(f"{finding.what} {finding.value:g} in {who} of {num_envs} at {when}")
    return clauses
