"""What scripts read of rsl_rl's logger: the folder, the repositories, totals. Metrics go to rslcore's loggers."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rslcore.distributed import is_main
from rslcore.run.code_state import record_code_state
from rslcore.run.session import RunSession


class RunnerLogger:
    """The run's folder and totals.

    Args:
        log_dir: The run's folder, or None.
        cfg: rsl_rl's dict.
        session: Of the run.

    Attributes:
        log_dir: As a string, or None.
        cfg: As it was given.
        git_status_repos: Files or folders in git repositories whose state is recorded when the run begins.
        writer: None: metrics go to rslcore's loggers, and a script's own to a logger of its own.
        disable_logs: Whether this process logs nothing, as all but the first do.
    """

    def __init__(self, log_dir: str | os.PathLike[str] | None, cfg: Mapping[str, Any], session: RunSession) -> None:
        self.log_dir = None if log_dir is None else os.fspath(log_dir)
        self.cfg = cfg
        self.git_status_repos: list[str] = []
        self.writer: None = None
        self.disable_logs = not is_main()
        self._session = session
        self._runner: Any = None

    def attach(self, runner: Any) -> None:
        """Read episodes from a runner of rslcore from now on."""
        self._runner = runner

    @property
    def logger_type(self) -> str:
        """`tensorboard`, `wandb`, or the name of a class, as the dict says."""
        logger = self.cfg.get("logger") or "tensorboard"
        return str(logger if isinstance(logger, str) else logger.get("class_name", "tensorboard"))

    @property
    def tot_timesteps(self) -> int:
        """Env steps of the whole run, over all envs."""
        return self._session.total_steps

    @property
    def tot_time(self) -> float:
        """Seconds of training."""
        return self._session.elapsed

    @property
    def rewbuffer(self) -> deque[float]:
        """Returns of the latest episodes, at most 100."""
        return self._runner.episodes.returns if self._runner is not None else deque()

    @property
    def lenbuffer(self) -> deque[int]:
        """Lengths of the latest episodes, at most 100."""
        return self._runner.episodes.lengths if self._runner is not None else deque()

    def save_model(self, path: str, it: int) -> None:
        """Nothing: rslcore's loggers are told of checkpoints by themselves."""

    def store_code_state(self) -> None:
        """Record the state of the repositories in the run's folder."""
        if self.log_dir is not None and self.git_status_repos:
            record_code_state(Path(self.log_dir), self.git_status_repos, self._session.iteration)
