"""Loggers and plugins that are told of a run."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rslcore.registry import default_registry
from rslcore.run.listeners import Listeners


class Counting:
    """Counts what it is told; fails where it is asked to."""

    def __init__(self, fails_in=""):
        self.fails_in = fails_in
        self.calls = []
        self.state = {"id": 1}

    def start(self, session):
        self._note("start")

    def log(self, record):
        self._note("log")

    def close(self):
        self._note("close")

    def state_dict(self):
        self._note("state_dict")
        return self.state

    def load_state_dict(self, state):
        self._note("load_state_dict")
        self.state = state

    def _note(self, call):
        self.calls.append(call)
        if call == self.fails_in:
            raise OSError("no space left")


@pytest.fixture
def listeners_of():
    def make(**loggers):
        return Listeners(loggers, default_registry())

    return make


def test_logger_that_raises_is_closed_and_left_out(listeners_of, caplog):
    failing, other = Counting("log"), Counting()
    listeners = listeners_of(failing=failing, other=other)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            listeners.tell("log", None)
    assert (failing.calls, other.calls) == (["log", "close"], ["log", "log"])
    assert caplog.messages == ["logger Counting failed and is left out from now on: OSError: no space left"]


def test_logger_that_was_left_out_keeps_its_state_for_the_next_run(listeners_of):
    logger = Counting("log")
    listeners = listeners_of(wandb=logger)
    listeners.load_logger_states({"wandb": {"id": 7}})
    listeners.tell("log", None)
    assert listeners.logger_states() == {"wandb": {"id": 7}}


def test_state_that_cannot_be_told_is_the_one_of_before(listeners_of):
    logger = Counting()
    listeners = listeners_of(wandb=logger)
    assert listeners.logger_states() == {"wandb": {"id": 1}}
    logger.fails_in = "state_dict"
    assert listeners.logger_states() == {"wandb": {"id": 1}}


class Uploading(Counting):
    """Asks for models too."""

    def model_saved(self, path):
        self._note(f"model_saved {path}")


def test_models_are_told_to_those_who_ask_for_them(listeners_of):
    plain, uploading, failing = Counting(), Uploading(), Uploading("model_saved run/model_1.pt")
    listeners = listeners_of(plain=plain, uploading=uploading, failing=failing)
    for iteration in (1, 2):
        listeners.model_saved(Path(f"run/model_{iteration}.pt"))
    assert plain.calls == []
    assert uploading.calls == ["model_saved run/model_1.pt", "model_saved run/model_2.pt"]
    assert failing.calls == ["model_saved run/model_1.pt", "close"]
