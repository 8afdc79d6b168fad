"""What processes know of those that were started before them, and signals that come twice."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest
from torch.distributed import TCPStore

from rslcore.run import launch, signals
from rslcore.run.launch import is_launched, is_restarted, note_run, noted_run


@pytest.fixture
def agent(monkeypatch):
    """The variables that torchrun's agent gives its processes, and the store that it keeps."""
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    return store


def test_run_is_noted_as_long_as_the_launch_lasts(agent, tmp_path, monkeypatch):
    assert noted_run(1) is None
    monkeypatch.chdir(tmp_path)
    note_run(launch.Path("logs/run"), 1)
    monkeypatch.chdir("/")
    assert noted_run(1) == tmp_path / "logs" / "run"
    assert is_launched()
    assert is_restarted()


def test_run_is_not_noted_without_torchrun(tmp_path):
    note_run(tmp_path, 1)
    assert noted_run(1) is None
    assert not is_launched()
    assert not is_restarted()


@pytest.fixture
def session():
    return SimpleNamespace(stop_requested=False, quiet=True)


def stopped_by(session, *numbers):
    with signals.stop_on_signals(session) as received:
        for number in numbers:
            os.kill(os.getpid(), number)
    return received


def test_signal_that_torchrun_passes_on_counts_once(agent, session):
    assert stopped_by(session, signal.SIGINT, signal.SIGINT) == [signal.SIGINT]
    assert session.stop_requested


def test_signal_that_comes_again_later_stops_at_once(agent, session, monkeypatch):
    monkeypatch.setattr(signals, "_SECONDS_TO_PASS_ON", -1.0)
    with pytest.raises(KeyboardInterrupt):
        stopped_by(session, signal.SIGINT, signal.SIGINT)


def test_other_signal_stops_at_once(agent, session):
    # As torchrun makes a SIGTERM of a second Ctrl-C.
    with pytest.raises(KeyboardInterrupt):
        stopped_by(session, signal.SIGTERM, signal.SIGINT)
