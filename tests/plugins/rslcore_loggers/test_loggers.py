"""The real loggers on real runs."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rslcore.context import Context
from rslcore.registry import default_registry
from rslcore.run.folder import RunFolder
from rslcore.run.session import IterationRecord
from rslcore.training import train
from rslcore_loggers.config import ConsoleConfig, TensorboardConfig
from rslcore_loggers.console import ConsoleLogger
from rslcore_loggers.tensorboard import TensorboardLogger, stride

EPISODES = {"Train/mean_reward", "Train/mean_episode_length"}
BY_TIME = {f"{name}/time" for name in EPISODES}

NAMES = {
    "Loss/surrogate",
    "Loss/value",
    "Loss/entropy",
    "Loss/learning_rate",
    "Policy/kl",
    "Policy/mean_std",
    "Policy/min_std",
    "Perf/total_fps",
    "Perf/collection_time",
    "Perf/learning_time",
    "Perf/total_steps",
}


KILLED = """
import os, signal
from rslcore.config import load_config
from rslcore.training import train
from rslcore_ppo.ppo import PPO

def die_in_the_sixth(self, iteration, total_iterations):
    if iteration == 5:
        os.kill(os.getpid(), signal.SIGKILL)

PPO.start_iteration = die_in_the_sixth
overrides = {overrides!r}
train(load_config("cartpole", overrides), log_root={log_root!r}, quiet=True)
"""


def read(path):
    accumulator = EventAccumulator(str(path))
    accumulator.Reload()
    return {tag: accumulator.Scalars(tag) for tag in accumulator.Tags()["scalars"]}


def scalars(path):
    return {tag: {event.step: event.value for event in events} for tag, events in read(path).items()}


def test_tensorboard_holds_every_metric_of_every_iteration(small_config, tmp_path):
    config = small_config("loggers=[{name: tensorboard}]", "runner.num_steps_per_env=200", recipe="pendulum")
    result = train(config, log_root=tmp_path, quiet=True)
    events = scalars(result.path)
    assert set(events) == NAMES | EPISODES | BY_TIME
    assert events["Perf/total_steps"] == {1: 800.0, 2: 1600.0}
    assert events["Train/mean_episode_length"] == {1: 200.0, 2: 200.0}
    assert events["Train/mean_reward"][2] == pytest.approx(result.metrics["Train/mean_reward"])


def test_tensorboard_killed_run_goes_on_with_each_iteration_once(small_config, tmp_path):
    overrides = ("env.num_envs=4", "runner.num_steps_per_env=64", "runner.save_interval=4", "device=cpu")
    overrides = (*overrides, "loggers=[{name: tensorboard, flush_interval: 1000}]")
    code = KILLED.format(overrides=("iterations=9", *overrides), log_root=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "cartpole").iterdir()
    (events,) = folder.glob("events.*")
    os.truncate(events, events.stat().st_size + 5)  # a record that was not written whole

    train(small_config("iterations=7", *overrides), resume=folder, quiet=True)
    steps = {tag: [event.step for event in events] for tag, events in read(folder).items()}
    assert set(steps) == NAMES - {"Policy/mean_std", "Policy/min_std"} | EPISODES | BY_TIME
    assert steps == {tag: steps[tag] if tag in BY_TIME else [1, 2, 3, 4, 5, 6, 7] for tag in steps}


def test_tensorboard_run_that_goes_on_from_an_earlier_checkpoint_hides_what_was_lost(small_config, tmp_path):
    overrides = ("loggers=[{name: tensorboard}]", "runner.save_interval=1")
    first = train(small_config("iterations=3", *overrides), log_root=tmp_path, quiet=True)
    last = train(small_config("iterations=4", *overrides), resume=first.path / "model_1.pt", quiet=True)
    events = read(first.path)
    assert [event.step for event in events["Perf/total_steps"]] == [1, 2, 3, 4]
    assert events["Loss/value"][-1].value == pytest.approx(last.metrics["Loss/value"])


def test_tensorboard_has_episodes_by_seconds_as_far_as_the_run_went_on_from(tmp_path):
    def log_run(iteration, elapsed, *records):
        logger = TensorboardLogger(TensorboardConfig(), None)
        logger.start(SimpleNamespace(folder=RunFolder(tmp_path), iteration=iteration, elapsed=elapsed))
        for number, seconds in records:
            metrics = {"Train/mean_reward": 10.0 * number, "Train/mean_episode_length": 5.0}
            logger.log(IterationRecord(number, 100, 0, seconds, 0.0, metrics))
        logger.close()

    log_run(0, 0.0, (1, 30.5), (2, 60.5), (3, 90.5), (4, 120.5))
    log_run(2, 60.5, (3, 80.5), (4, 100.5))
    log_run(3, 80.5, (4, 110.5))
    events = scalars(tmp_path)
    assert events["Train/mean_reward"] == {1: 10.0, 2: 20.0, 3: 30.0, 4: 40.0}
    assert events["Train/mean_reward/time"] == {30: 10.0, 60: 20.0, 80: 30.0, 110: 40.0}
    assert list(events["Train/mean_episode_length/time"]) == [30, 60, 80, 110]


def test_tensorboard_closes_its_files(small_config, tmp_path):
    train(small_config("loggers=[{name: tensorboard}]"), log_root=tmp_path, quiet=True)
    assert not [path for path in map(os.path.realpath, Path("/proc/self/fd").iterdir()) if "tfevents" in path]


def test_tensorboard_of_a_long_run_is_thinned_and_ends_with_the_last_iteration(small_config, tmp_path):
    config = small_config("iterations=33", "loggers=[{name: tensorboard, dense_iterations: 3}]")
    events = scalars(train(config, log_root=tmp_path, quiet=True).path)
    assert list(events["Perf/total_steps"]) == [1, 2, 3, 10, 20, 30, 33]


def test_console_without_a_terminal_prints_lines(small_config, tmp_path, capsys):
    config = small_config("iterations=3", "loggers=[{name: console, line_interval: 0}]")
    train(config, log_root=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("iteration 1/3: steps/s ")
    for word in ("steps 96", "mean return", "episode length", "surrogate", "value", "entropy", "0:00 left"):
        assert word in lines[2]


def test_console_prints_seldom_and_the_last_iteration_always(small_config, tmp_path, capsys):
    train(small_config("iterations=5", "loggers=[{name: console, line_interval: 1000}]"), log_root=tmp_path)
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "iteration 1/5",
        "iteration 5/5",
    ]


def test_console_quiet_prints_nothing(small_config, tmp_path, capsys):
    train(small_config("loggers=[{name: console}]"), log_root=tmp_path, quiet=True)
    assert capsys.readouterr().out == ""


def test_console_shows_the_section_where_two_metrics_are_called_alike(small_config, capsys):
    metrics = {"Perf/total_fps": 10.0, "Loss/temperature": -9.0, "Policy/temperature": 0.5, "Loss/value_mean": 1.0}
    config = small_config()
    context = Context(default_registry(), config, torch.device("cpu"), 1, 8)
    ConsoleLogger(ConsoleConfig(), context).log(IterationRecord(1, 1, 8, 0.0, 0.0, metrics))
    assert capsys.readouterr().out == (
        "iteration 1/1: steps/s 10, steps 8, mean return none yet, episode length none yet, loss temperature -9, "
        "policy temperature 0.5, value mean 1, 0:00 left\n"
    )


def test_console_on_a_terminal_draws_a_panel(small_config, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    train(small_config("loggers=[{name: console}]"), log_root=tmp_path)
    drawn = capsys.readouterr().out
    for word in ("cartpole", "iteration 2/2", "steps/s", "mean return", "surrogate"):
        assert word in drawn


def test_failing_logger_is_left_out_and_the_run_goes_on(small_config, tmp_path, monkeypatch, caplog):
    def fail(self, record):
        raise OSError("disk full")

    monkeypatch.setattr("rslcore_loggers.tensorboard.TensorboardLogger.log", fail)
    config = small_config("iterations=3", "loggers=[{name: tensorboard}]")
    with caplog.at_level(logging.WARNING):
        assert train(config, log_root=tmp_path, quiet=True).iteration == 3
    assert caplog.messages == ["logger TensorboardLogger failed and is left out from now on: OSError: disk full"]


@pytest.mark.parametrize(
    ("iteration", "expected"), [(1, 1), (100, 1), (101, 10), (1000, 10), (1001, 100), (10_000, 100), (10_001, 1000)]
)
def test_stride_grows_with_the_run(iteration, expected):
    assert stride(iteration, dense_iterations=100) == expected
