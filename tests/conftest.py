"""Fixtures that several tests share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.profiler import ExecutionTraceObserver

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
def count_reads(tmp_path: Path) -> Callable[[Callable[[], object]], int]:
    """Count the host reads of a call, those inside of operators included."""

    def count(function: Callable[[], object]) -> int:
        trace = tmp_path / "trace.json"
        observer = ExecutionTraceObserver().register_callback(str(trace))
        observer.start()
        try:
            function()
        finally:
            observer.stop()
            observer.unregister_callback()
        return sum(node["name"] == "aten::_local_scalar_dense" for node in json.loads(trace.read_text())["nodes"])

    return count


@pytest.fixture
def small_config() -> Callable[..., ExperimentConfig]:
    """A recipe made small, with further overrides."""

    def load(*overrides: str, recipe: str = "cartpole") -> ExperimentConfig:
        return load_config(recipe, (*SMALL, *overrides))

    return load
