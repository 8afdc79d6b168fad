"""Fixtures that several tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rslcore.config import ExperimentConfig, load_config
from rslcore.registry import Registry

sys.path.insert(0, str(Path(__file__).parent))
import envs

envs.register()

DISTRIBUTIONS = Path(__file__).parent / "data" / "distributions"

SMALL = ("iterations=2", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]")
"""Overrides that make a recipe a matter of milliseconds."""


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """Put fake distributions on the path and load all plugins, theirs and ours."""

    def load(*names: str, disabled: tuple[str, ...] = ()) -> Registry:
        for name in names:
            monkeypatch.syspath_prepend(str(DISTRIBUTIONS / name))
        return Registry.discover(disabled)

    return load


@pytest.fixture
def small_config() -> Callable[..., ExperimentConfig]:
    """A recipe made small, with further overrides."""

    def load(*overrides: str, recipe: str = "cartpole") -> ExperimentConfig:
        return load_config(recipe, (*SMALL, *overrides))

    return load
