"""What tests of several plugins import."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

sys.path.append(str(Path(__file__).parent / "rslcore_rsl_rl"))  # stand_ins, which configs name, and rsl_rl_shapes

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def genesis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Genesis is installed, in a process of its own: what stands in for it, and classes and functions upon it."""
    monkeypatch.setattr("rslcore_genesis.simulator._given", [])
    with installed(DATA / "genesis", monkeypatch):
        yield


@pytest.fixture
def isaaclab(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Isaac Lab is installed, in a process of its own: what stands in for it, see there."""
    monkeypatch.setattr("rslcore_isaaclab.app._app", [])
    monkeypatch.setattr("atexit.register", lambda function: None)
    with installed(DATA / "isaaclab", monkeypatch):
        yield
    for task in ("Isaac-Point-Mass-v0", "Isaac-Point-Mass-Blind-v0"):
        gymnasium.registry.pop(task, None)


@pytest.fixture
def mjlab(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """mjlab is installed: what stands in for it, see there."""
    with installed(DATA / "mjlab", monkeypatch):
        yield


@pytest.fixture
def playground(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MuJoCo Playground is installed: what stands in for it, see there."""
    with installed(DATA / "playground", monkeypatch):
        yield


@contextlib.contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The packages of a folder can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(folder)
    yield
    packages = {path.stem for path in folder.iterdir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
