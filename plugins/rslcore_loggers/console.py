"""A live display on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rslcore.context import Context
from rslcore.run.session import IterationRecord, RunSession
from rslcore_loggers.config import ConsoleConfig

REFRESH_INTERVAL = 0.1
"""Seconds between two drawings: often enough to look live, seldom enough to cost nothing."""


class ConsoleLogger:
    """Shows iteration, steps per second, mean return, episode length, losses and time left.

    Args:
        config: The options.
        context: Gives the experiment's name.
    """

    def __init__(self, config: ConsoleConfig, context: Context) -> None:
        self._line_interval = config.line_interval
        self._title = context.config.experiment
        self._console = Console()
        self._live: Live | None = None
        self._quiet = False
        self._shown_at = 0.0
        self._latest: IterationRecord | None = None

    def start(self, session: RunSession) -> None:
        """Begin the display."""
        self._quiet = session.quiet
        if not self._quiet and self._console.is_terminal:
            self._live = Live(Text(f"{self._title}: the first iteration is on its way"), console=self._console)
            self._live.auto_refresh = False
            self._live.start(refresh=True)

    def log(self, record: IterationRecord) -> None:
        """Show an iteration, unless the last one was shown just now."""
        self._latest = record
        interval = REFRESH_INTERVAL if self._live is not None else self._line_interval
        if time.perf_counter() - self._shown_at >= interval or record.iteration == record.total_iterations:
            self._show(record)

    def close(self) -> None:
        """Leave the last iteration on the screen."""
        if self._live is not None:
            if self._latest is not None:
                self._show(self._latest)
            self._live.stop()
            self._live = None

    def _show(self, record: IterationRecord) -> None:
        self._shown_at = time.perf_counter()
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(self._panel(record), refresh=True)
        else:
            print(_line(record), flush=True)

    def _panel(self, record: IterationRecord) -> RenderableType:
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(self._title, style="bold"),
            ProgressBar(total=record.total_iterations, completed=record.iteration, width=30),
            f"iteration {record.iteration}/{record.total_iterations}",
            f"{_duration(record.elapsed)} gone, {_duration(record.seconds_left)} left",
        )
        body = Table.grid(padding=(0, 3))
        cells = [f"[dim]{name}[/] {value}" for name, value in _figures(record)]
        for index in range(0, len(cells), 3):
            body.add_row(*cells[index : index + 3])
        return Group(head, body)


def _figures(record: IterationRecord) -> list[tuple[str, str]]:
    metrics = dict(record.metrics)
    fps = metrics.pop("Perf/total_fps")
    figures = [("steps/s", f"{fps:,.0f}"), ("steps", f"{record.total_steps:,}")]
    for name, label in (("Train/mean_reward", "mean return"), ("Train/mean_episode_length", "episode length")):
        figures.append((label, f"{metrics.pop(name):.2f}" if name in metrics else "none yet"))
    others = {name: value for name, value in metrics.items() if not name.startswith("Perf/")}
    return figures + list(zip(_labels(list(others)), (f"{value:.4g}" for value in others.values()), strict=True))


def _labels(names: Sequence[str]) -> list[str]:
    """Names of metrics without their sections, which only those keep that are called alike without."""
    split = [name.partition("/")[::2] for name in names]
    counts = Counter(last for _, last in split)
    labels = [last if counts[last] == 1 else f"{section.lower()} {last}" for section, last in split]
    return [label.replace("_", " ") for label in labels]


def _line(record: IterationRecord) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in _figures(record))
    return f"iteration {record.iteration}/{record.total_iterations}: {figures}, {_duration(record.seconds_left)} left"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
