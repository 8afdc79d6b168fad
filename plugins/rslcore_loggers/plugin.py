"""Declares the loggers `console`, `tensorboard`, `jsonl`, `csv` and `wandb`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the loggers."""
    registry.add_logger(
        "console",
        factory="rslcore_loggers.console:ConsoleLogger",
        config="rslcore_loggers.config:ConsoleConfig",
        summary="A live display on a terminal, a line now and then elsewhere.",
    )
    registry.add_logger(
        "tensorboard",
        factory="rslcore_loggers.tensorboard:TensorboardLogger",
        config="rslcore_loggers.config:TensorboardConfig",
        summary="Scalars as TensorBoard events in the run's folder.",
    )
    registry.add_logger(
        "jsonl",
        factory="rslcore_loggers.jsonl:JsonlLogger",
        config="rslcore_loggers.config:JsonlConfig",
        summary="Metrics as JSON lines in the run's folder.",
    )
    registry.add_logger(
        "csv",
        factory="rslcore_loggers.csv:CsvLogger",
        config="rslcore_loggers.config:CsvConfig",
        summary="Metrics as comma-separated values in the run's folder.",
    )
    registry.add_logger(
        "wandb",
        factory="rslcore_loggers.wandb:WandbLogger",
        config="rslcore_loggers.config:WandbConfig",
        summary="A run of Weights & Biases; a resumed one goes on in it. Needs the extra [wandb].",
    )
