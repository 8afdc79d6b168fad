"""Metrics as JSON lines and as comma-separated values, on real runs."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from rslcore.run.folder import RunFolder
from rslcore.run.session import IterationRecord
from rslcore.training import train
from rslcore_loggers.config import CsvConfig, JsonlConfig
from rslcore_loggers.csv import CsvLogger
from rslcore_loggers.jsonl import JsonlLogger

BOTH = "loggers=[{name: jsonl}, {name: csv}]"
FILES = ("metrics.jsonl", "metrics.csv")

KILLED = """
import os, signal
from rslcore.config import load_config
from rslcore.training import train
from rslcore_ppo.ppo import PPO

def die_in_the_sixth(self, iteration, total_iterations):
    if iteration == 5:
        os.kill(os.getpid(), signal.SIGKILL)

PPO.start_iteration = die_in_the_sixth
train(load_config("cartpole", {overrides!r}), log_root={log_root!r}, quiet=True)
"""


def read_jsonl(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def read_csv(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def iterations(folder):
    return [row["iteration"] for row in read_jsonl(folder)], [int(row["iteration"]) for row in read_csv(folder)]


@pytest.fixture
def log_run(tmp_path):
    """Log records, each an iteration and its metrics, of a run that goes on from an iteration."""

    def log(iteration, *records):
        for logger in (JsonlLogger(JsonlConfig(), None), CsvLogger(CsvConfig(), None)):
            logger.start(SimpleNamespace(folder=RunFolder(tmp_path), iteration=iteration))
            for number, metrics in records:
                logger.log(IterationRecord(number, 10, 32 * number, 0.1 * number, 1.0, metrics))
            logger.close()

    return log


def test_tables_hold_every_metric_of_every_iteration_in_full_precision(small_config, tmp_path):
    result = train(small_config(BOTH, "runner.num_steps_per_env=64"), log_root=tmp_path, quiet=True)
    rows, cells = read_jsonl(result.path), read_csv(result.path)
    assert iterations(result.path) == ([1, 2], [1, 2])
    assert [row["Perf/total_steps"] for row in rows] == [256, 512]
    assert set(rows[-1]) == {"iteration", "elapsed", "Perf/total_steps", *result.metrics}
    assert {name: rows[-1][name] for name in result.metrics} == result.metrics
    assert {name: float(cells[-1][name]) for name in result.metrics} == result.metrics
    assert 0.0 < rows[0]["elapsed"] < rows[1]["elapsed"] == float(cells[1]["elapsed"])


def test_csv_metric_that_appears_later_is_a_column_that_earlier_rows_leave_empty(log_run, tmp_path):
    log_run(0, (1, {"Loss/value": 0.1}), (2, {"Loss/value": 1 / 3, "Episode/a, b": 2.0}), (3, {"Train/mean_reward": 5}))
    assert (tmp_path / "metrics.csv").read_text() == (
        'iteration,elapsed,Perf/total_steps,Loss/value,"Episode/a, b",Train/mean_reward\n'
        "1,0.1,32,0.1,,\n"
        "2,0.2,64,0.3333333333333333,2.0,\n"
        "3,0.30000000000000004,96,,,5\n"
    )


def test_numbers_that_are_not_finite_are_null_in_json_and_as_they_are_in_csv(log_run, tmp_path):
    log_run(0, (1, {"Loss/a": math.nan, "Loss/b": math.inf, "Loss/c": -math.inf}))
    (row,), (cells,) = read_jsonl(tmp_path), read_csv(tmp_path)
    assert [row[f"Loss/{name}"] for name in "abc"] == [None] * 3
    assert [cells[f"Loss/{name}"] for name in "abc"] == ["nan", "inf", "-inf"]


def test_killed_run_leaves_whole_lines_and_goes_on_with_each_iteration_once(small_config, tmp_path):
    overrides = ("env.num_envs=4", "runner.num_steps_per_env=64", "runner.save_interval=4", "device=cpu", BOTH)
    code = KILLED.format(overrides=("iterations=9", *overrides), log_root=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "cartpole").iterdir()
    assert iterations(folder) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    for name in FILES:  # a line that was not written whole, and what its writer left behind
        whole = (folder / name).read_text()
        (folder / name).write_text(whole + whole.splitlines()[-1][:-20])
        (folder / f".{name}.{os.getpid()}.tmp").touch()
        os.utime(folder / f".{name}.{os.getpid()}.tmp", (0, 0))

    train(small_config("iterations=7", *overrides), resume=folder, quiet=True)
    assert iterations(folder) == ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7])
    assert not list(folder.glob(".*.tmp"))


def test_run_that_goes_on_drops_the_rows_beyond_its_checkpoint(log_run, tmp_path):
    log_run(0, *((number, {"Loss/value": 0.5 * number}) for number in (1, 2, 3, 4)))
    log_run(2, (3, {"Loss/value": 7.0}))
    assert iterations(tmp_path) == ([1, 2, 3], [1, 2, 3])
    assert [row["Loss/value"] for row in read_jsonl(tmp_path)] == [0.5, 1.0, 7.0]
    assert [row["Loss/value"] for row in read_csv(tmp_path)] == ["0.5", "1.0", "7.0"]


def test_run_that_begins_again_begins_its_tables_again(log_run, tmp_path):
    log_run(0, (1, {"Loss/value": 0.5}))
    log_run(0, (1, {"Loss/value": 7.0}))
    assert iterations(tmp_path) == ([1], [1])


@pytest.mark.parametrize("content", [b"", b"iter", b"\x00" * 64, b"\xff\xfe\n[1]\n", b"iteration\nno number\n1,2\n"])
def test_file_that_cannot_be_read_is_begun_again(log_run, tmp_path, content):
    for name in FILES:
        (tmp_path / name).write_bytes(content)
    log_run(3, (4, {"Loss/value": 0.5}))
    assert iterations(tmp_path) == ([4], [4])


def test_full_disk_costs_the_loggers_that_write_and_not_the_run(small_config, tmp_path, monkeypatch, caplog):
    def fill_in_the_second(self, iteration, total_iterations):
        if iteration == 1:
            (folder,) = (tmp_path / "cartpole").iterdir()
            for name in FILES:
                (folder / name).unlink()
                (folder / name).symlink_to("/dev/full")

    monkeypatch.setattr("rslcore_ppo.ppo.PPO.start_iteration", fill_in_the_second)
    loggers = "loggers=[{name: jsonl}, {name: csv}, {name: tensorboard}]"
    config = small_config("iterations=3", "runner.num_steps_per_env=64", loggers)
    assert train(config, log_root=tmp_path, quiet=True).iteration == 3
    assert caplog.messages == [
        f"logger {name} failed and is left out from now on: OSError: [Errno 28] No space left on device"
        for name in ("JsonlLogger", "CsvLogger")
    ]


def test_folder_that_is_gone_costs_the_loggers_and_not_the_run(small_config, tmp_path, monkeypatch, caplog):
    def move_in_the_second(self, iteration, total_iterations):
        if iteration == 1:
            (folder,) = (tmp_path / "cartpole").iterdir()
            folder.rename(tmp_path / "moved")
            moved.append(folder)
        if iteration == 2:
            (tmp_path / "moved").rename(moved[0])

    moved = []
    monkeypatch.setattr("rslcore_ppo.ppo.PPO.start_iteration", move_in_the_second)
    result = train(small_config("iterations=3", "runner.num_steps_per_env=64", BOTH), log_root=tmp_path, quiet=True)
    assert (result.iteration, iterations(result.path)) == (3, ([1], [1]))
    assert caplog.messages == [
        f"logger {name} failed and is left out from now on: FileNotFoundError: [Errno 2] No such file or directory: "
        f"'{result.path / file}'"
        for name, file in (("JsonlLogger", "metrics.jsonl"), ("CsvLogger", "metrics.csv"))
    ]
