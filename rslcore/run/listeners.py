"""Who is told of a run: its loggers, and the plugins that listen to run events. None of them ends it by failing."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rslcore.protocols import Logger, ModelLogger, StatefulLogger
from rslcore.registry import Registry

_log = logging.getLogger(__name__)


class Listeners:
    """Loggers and plugins; one that raises is warned about once and left out from then on.

    Args:
        loggers: By name.
        registry: Whose plugins are told.
    """

    def __init__(self, loggers: Mapping[str, Logger], registry: Registry) -> None:
        self._loggers = dict(loggers)
        self._registry = registry
        self._silenced: set[str] = set()
        self._states: dict[str, Any] = {}  # of loggers, the latest that are known

    def tell(self, method: str, *arguments: Any) -> None:
        """Call a method of every logger."""
        for name in list(self._loggers):
            self._call(name, method, *arguments)

    def model_saved(self, path: Path) -> None:
        """Tell those loggers that ask for it of a file that holds the policy."""
        for name in self._names_of(ModelLogger):
            self._call(name, "model_saved", path)

    def logger_states(self) -> dict[str, Any]:
        """What those loggers that have a state want back, by name; of one that was left out, what it wanted last."""
        for name in self._names_of(StatefulLogger):
            state = self._call(name, "state_dict")
            if state is not None:
                self._states[name] = state
        return dict(self._states)

    def load_logger_states(self, states: Mapping[str, Any]) -> None:
        """The inverse of `logger_states`, before they are told that the run begins."""
        self._states = dict(states)
        for name in self._names_of(StatefulLogger):
            if name in states:
                self._call(name, "load_state_dict", states[name])

    def emit(self, event: str, **arguments: Any) -> None:
        """Call the plugins that listen to an event, one by one."""
        for name, call in self._registry.implementations(event):
            if name in self._silenced:
                continue
            try:
                call(**arguments)
            except Exception as error:
                kind = type(error).__name__
                _log.warning(
                    "plugin %s failed in %s and is not told of events any more: %s: %s", name, event, kind, error
                )
                self._silenced.add(name)

    def _names_of(self, protocol: type[Any]) -> list[str]:
        return [name for name, logger in self._loggers.items() if isinstance(logger, protocol)]

    def _call(self, name: str, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._loggers[name], method)(*arguments)
        except Exception as error:
            logger = self._loggers.pop(name)
            kind = type(error).__name__
            _log.warning("logger %s failed and is left out from now on: %s: %s", type(logger).__name__, kind, error)
            if method != "close":
                with contextlib.suppress(Exception):  # what it holds open is let go of as far as it can be
                    logger.close()
            return None
