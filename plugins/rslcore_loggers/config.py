"""Options of the loggers."""

from __future__ import annotations

from rslcore.config import Range, config, option


@config
class ConsoleConfig:
    """A live display on a terminal."""

    line_interval: float = option(5.0, "Seconds between two lines where the output is no terminal.", Range(0.0))


@config
class TensorboardConfig:
    """Scalars as TensorBoard events."""

    flush_interval: float = option(
        10.0, "Seconds after which events are on disk at the latest.", Range(0.0, open_low=True)
    )
    dense_iterations: int = option(
        10_000,
        "Iterations that are written one by one; after that one in 10 is, after ten times as many one in 100, and so "
        "on, so that the file of a run without end stays small.",
        Range(1),
    )
