"""Options of the loggers."""

from __future__ import annotations

from typing import Literal

from rslcore.config import Range, config, option


@config
class ConsoleConfig:
    """A live display on a terminal."""

    line_interval: float = option(
        5.0, "Seconds between two lines where the output is no terminal.", Range(0.0, 86_400.0)
    )


@config
class TensorboardConfig:
    """Scalars as TensorBoard events."""

    flush_interval: float = option(
        10.0, "Seconds after which events are on disk at the latest.", Range(0.0, 86_400.0, open_low=True)
    )
    dense_iterations: int = option(
        10_000,
        "Iterations that are written one by one; after that one in 10 is, after ten times as many one in 100, and so "
        "on, so that the file of a run without end stays small.",
        Range(1),
    )


@config
class JsonlConfig:
    """Metrics as JSON lines."""


@config
class CsvConfig:
    """Metrics as comma-separated values."""


@config
class WandbConfig:
    """A run of Weights & Biases."""

    project: str | None = option(None, "Where the run is shown; by default WANDB_PROJECT, or the experiment's name.")
    entity: str | None = option(None, "User or team of the project; by default WANDB_ENTITY, or the user's own.")
    run_name: str | None = option(None, "What the run is called; by default as its folder.")
    group: str | None = option(None, "Runs of one group are shown together.")
    tags: tuple[str, ...] = option((), "Labels to find the run by.")
    notes: str | None = option(None, "What the run is about, in a few words.")
    mode: Literal["online", "offline", "disabled"] | None = option(
        None, "offline: files only, which `wandb sync` sends later; by default WANDB_MODE, or online."
    )
    upload_models: bool = option(
        False, "Whether checkpoints and exported policies are sent too, each once it is saved."
    )
    timeout: float = option(
        20.0,
        "Seconds that the beginning of a run waits for an answer, and its end for what is yet to be sent.",
        Range(0.0, open_low=True),
    )
