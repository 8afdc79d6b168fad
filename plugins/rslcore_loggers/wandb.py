"""Metrics in a run of Weights & Biases; a resumed run goes on in the same one."""

from __future__ import annotations

import contextlib
import glob
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rslcore.config import unstructure
from rslcore.context import Context
from rslcore.errors import MissingExtraError
from rslcore.run.code_state import FOLDER as CODE_STATE_FOLDER
from rslcore.run.session import IterationRecord, RunSession
from rslcore_loggers.config import WandbConfig
from rslcore_loggers.env_cfg import read_env_cfg
from rslcore_loggers.videos import find_videos

if TYPE_CHECKING:
    import wandb

STEP = "iteration"
"""The metric against which the others are drawn.

W&B's own steps only rise: with iterations for steps it would drop those that a resumed run repeats, and keep what was
logged for them before the crash.
"""

ENV_CFG = "env_cfg"
"""The key of the run's config for what the env's simulator is configured with, as rsl_rl has it."""

VIDEO_INTERVAL = 10.0
"""Seconds between two searches for videos; the last one is at the end."""

_log = logging.getLogger(__name__)


class WandbLogger:
    """Logs the run's config and that of the env's simulator, every metric of every iteration, videos, the state of the
    code and, if it is asked to, checkpoints and exported policies. Files lie in the run's folder.

    Args:
        config: The options.
        context: Gives the experiment's name, the env, and the place in the config for messages.

    Raises:
        MissingExtraError: wandb is not installed.
    """

    def __init__(self, config: WandbConfig, context: Context) -> None:
        try:
            # Something in it, since a mere folder `wandb`, as wandb makes them, can be imported too.
            from wandb import Settings  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                f"{context.path}: 'wandb' needs a package that is not installed; type `pip install 'rslcore[wandb]'` "
                f"({error})"
            ) from error
        self._config = config
        self._experiment = context.config.experiment
        self._env = context.env
        self._state: dict[str, str] = {}
        self._videos: dict[str, int] = {}  # that were sent: by path, when they were written
        self._videos_sought_at = -math.inf
        self._run: wandb.Run | None = None

    def state_dict(self) -> dict[str, Any]:
        """Which run it is: `id`, `project` and `entity`; empty before the first `start`, and where W&B is disabled.

        And `videos`, those that were sent.
        """
        return {**self._state, "videos": dict(self._videos)} if self._state else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on in a run. The config's project and entity come first, if it names any."""
        self._state = {name: value for name, value in state.items() if name != "videos"}
        self._videos = dict(state.get("videos", {}))

    def start(self, session: RunSession) -> None:
        """Begin the run, or go on in it. Where W&B does not answer, the run is recorded in files."""
        import wandb
        from wandb.errors import CommError

        try:
            run = self._init(session, self._config.mode)
        except CommError as error:
            # A failed attempt keeps the run's id in use until W&B's own process has ended.
            with contextlib.suppress(SystemExit):  # which is raised if that process has failed
                wandb.teardown()
            run = self._init(session, "offline")
            _log.warning(
                "Weights & Biases cannot be reached, so the run is recorded in files; `wandb sync %s` sends them: %s",
                Path(run.dir).parent,
                " ".join(str(error).split()),
            )
        run.define_metric("*", step_metric=STEP)
        self._run, self._folder, self._iteration = run, session.folder.path, session.iteration
        if not run.disabled:
            self._state = {"id": run.id, "project": run.project, "entity": run.entity}
            for path in sorted(self._folder.glob(f"{CODE_STATE_FOLDER}/*.diff")):
                self._send_file(path)

    def log(self, record: IterationRecord) -> None:
        """Hand the metrics of an iteration to W&B's own process, which sends them."""
        assert self._run is not None
        self._iteration = record.iteration
        self._run.log({**record.metrics, "Perf/total_steps": record.total_steps, STEP: record.iteration})
        if time.monotonic() - self._videos_sought_at >= VIDEO_INTERVAL:
            self._send_videos()

    def model_saved(self, path: Path) -> None:
        """Send a checkpoint or an exported policy, if that is wanted."""
        if self._config.upload_models:
            self._send_file(path)

    def close(self) -> None:
        """Send the last videos and end the run, as failed if an exception is what ends it."""
        if self._run is None:
            return
        self._send_videos()
        try:
            self._run.finish(exit_code=0 if sys.exc_info()[0] is None else 1)
        except TimeoutError:
            _log.warning(
                "Weights & Biases has not received all of the run in %g seconds; `wandb sync %s` sends the rest",
                self._config.timeout,
                Path(self._run.dir).parent,
            )

    def _send_file(self, path: Path) -> None:
        """Send a file as it is now, under its place in the run's folder."""
        assert self._run is not None
        if self._run.disabled:
            return
        inside = path.relative_to(self._folder) if path.is_relative_to(self._folder) else Path(path.name)
        link = Path(self._run.dir, inside)
        link.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            link.symlink_to(path.absolute())  # W&B would make one too, and warn about it
        # Escaped, since both are patterns. W&B's own process reads the file.
        self._run.save(glob.escape(str(link)), base_path=glob.escape(self._run.dir), policy="now")

    def _send_videos(self) -> None:
        """Send the videos that have come since the last time, and are whole."""
        import wandb

        assert self._run is not None
        self._videos_sought_at = time.monotonic()
        if self._run.disabled:
            return
        for path, written_at in find_videos(self._folder, exclude=("wandb",)):
            name = str(path.relative_to(self._folder))
            if self._videos.get(name) == written_at:
                continue
            self._videos[name] = written_at
            try:
                video = wandb.Video(str(path), caption=name, format="mp4")
                self._run.log({"video": video, STEP: self._iteration})
            except OSError as error:
                _log.warning("the video '%s' cannot be sent: %s", path, error)

    def _init(self, session: RunSession, mode: Literal["online", "offline", "disabled"] | None) -> wandb.Run:
        import wandb

        def stop() -> None:
            session.stop_requested = True

        if session.quiet:
            # For the whole process: not all that wandb prints belongs to a run.
            wandb.setup(wandb.Settings(silent=True))
        config, known = self._config, self._state
        env_cfg = read_env_cfg(self._env)
        return wandb.init(
            project=config.project or known.get("project") or os.environ.get("WANDB_PROJECT") or self._experiment,
            entity=config.entity or known.get("entity") or None,
            id=known.get("id"),
            resume="allow",
            name=config.run_name or session.folder.path.name,
            group=config.group,
            tags=config.tags or None,
            notes=config.notes,
            config={**unstructure(session.config), **({} if env_cfg is None else {ENV_CFG: env_cfg})},
            dir=session.folder.path,
            mode=mode,
            # Beside a run that the user's own code has begun; otherwise it is `wandb.run`, for that code to use.
            reinit="create_new" if wandb.run is not None else "default",
            settings=wandb.Settings(
                console="off",  # the output of training stays as it is
                init_timeout=config.timeout,
                finish_timeout=config.timeout,
                finish_timeout_raises=True,
                stop_fn=stop,  # the button on the run's page; otherwise a Ctrl-C to the main thread
            ),
        )
