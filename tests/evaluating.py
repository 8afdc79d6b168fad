"""What a trained run is worth, for tests of learning."""

from __future__ import annotations

from pathlib import Path

from rslcore.config import load_config
from rslcore.evaluation import evaluate
from rslcore.training import train


def mean_return(path: Path) -> float:
    """Of 100 episodes of a run."""
    return evaluate(path, episodes=100).summary()["return"]["mean"]


def trained_return(log_root: Path, recipe: str, *overrides: str) -> float:
    """The same of a run that is trained now."""
    config = load_config(recipe, ("loggers=[]", *overrides))
    return mean_return(train(config, log_root=log_root, quiet=True).path)
