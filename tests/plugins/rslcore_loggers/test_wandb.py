"""Real runs of Weights & Biases, in files."""

from __future__ import annotations

import json
import logging
import os
import signal
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rslcore.config import unstructure
from rslcore.errors import MissingExtraError
from rslcore.run.checkpoint import load_checkpoint
from rslcore.training import train

wandb = pytest.importorskip("wandb")

BLOCK = 32768


def read_records(path):
    """What W&B has written: a log in the format of LevelDB, whose records are protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := BLOCK - at % BLOCK) < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(whole)
            whole = b""


def read_run(path):
    """What of a run is on disk, once W&B's own process has written it and ended."""
    wandb.teardown()
    found = {}
    for record in read_records(path):
        found.setdefault(record.WhichOneof("record_type"), []).append(record)
    header = found["run"][0].run
    return SimpleNamespace(
        header=header,
        config={item.key: json.loads(item.value_json) for item in header.config.update if item.key != "_wandb"},
        rows=[
            {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            for record in found["history"]
        ],
        axes=[(record.metric.glob_name, record.metric.step_metric) for record in found["metric"]],
        exit_code=found["exit"][0].exit.exit_code,
    )


@pytest.fixture(autouse=True)
def service(monkeypatch):
    """Each test has its own service process, which reads the environment, and reports no errors to W&B."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    wandb.teardown()
    yield
    wandb.teardown()


def outside():
    """What belongs to the process that trains."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return sys.stdout, sys.stderr, *handlers, wandb.run


def test_wandb_crashed_run_goes_on_in_the_same_run(small_config, tmp_path, monkeypatch, capfd):
    def load(iterations, *options):
        logger = f"{{name: wandb, mode: offline, {', '.join(options)}}}"
        overrides = ("runner.save_interval=2", "policy.actor.network.hidden_dims=[8]", f"loggers=[{logger}]")
        return small_config(f"iterations={iterations}", *overrides)

    def crash_in_the_fourth(self, iteration, total_iterations):
        if iteration == 3:
            raise RuntimeError("a crash")

    monkeypatch.chdir(tmp_path)
    before = outside()
    config = load(5, "tags: [short]", "notes: by hand")
    with monkeypatch.context() as patched:
        patched.setattr("rslcore_ppo.ppo.PPO.start_iteration", crash_in_the_fourth)
        with pytest.raises(RuntimeError, match="a crash"):
            train(config, log_root="logs", quiet=True)
    (folder,) = Path("logs/cartpole").iterdir()
    train(load(4, "run_name: other"), resume=folder, quiet=True)
    assert outside() == before
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]

    crashed, resumed = map(read_run, sorted(folder.glob("wandb/offline-run-*/*.wandb")))
    assert crashed.header.run_id == resumed.header.run_id
    assert [(run.header.project, run.header.display_name) for run in (crashed, resumed)] == [
        ("cartpole", folder.name),
        ("cartpole", "other"),
    ]
    assert (list(crashed.header.tags), crashed.header.notes) == (["short"], "by hand")
    assert crashed.config == json.loads(json.dumps(unstructure(config)))
    assert crashed.axes == resumed.axes == [("*", "iteration")]
    rows = crashed.rows + resumed.rows
    assert [row["iteration"] for row in rows] == [1, 2, 3, 3, 4]
    assert [row["Perf/total_steps"] for row in rows] == [32, 64, 96, 96, 128]
    assert all(isinstance(row["Loss/value"], float) for row in rows)
    assert (crashed.exit_code, resumed.exit_code) == (1, 0)


def test_wandb_without_a_network_records_the_run_in_files(small_config, tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    config = small_config("loggers=[{name: wandb, mode: online, project: somewhere, timeout: 2}]")
    with caplog.at_level(logging.WARNING):
        result = train(config, log_root=tmp_path, quiet=True)
    (path,) = result.path.glob("wandb/offline-run-*/*.wandb")
    run = read_run(path)
    assert (run.header.project, [row["iteration"] for row in run.rows]) == ("somewhere", [1, 2])
    (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("rslcore")]
    assert message.startswith(
        f"Weights & Biases cannot be reached, so the run is recorded in files; `wandb sync {path.parent}` sends them: "
    )
    assert capfd.readouterr() == ("", "")


def test_wandb_disabled_knows_of_no_run(small_config, tmp_path):
    result = train(small_config("loggers=[{name: wandb, mode: disabled}]"), log_root=tmp_path, quiet=True)
    assert load_checkpoint(result.path / "model_2.pt").progress["loggers"] == {"wandb": {}}
    assert not (result.path / "wandb").exists()


def test_wandb_missing_is_told_before_anything_is_written(small_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    message = (
        "loggers[0]: 'wandb' needs a package that is not installed; type `pip install 'rslcore[wandb]'` "
        "(import of wandb halted; None in sys.modules)"
    )
    with pytest.raises(MissingExtraError) as caught:
        train(small_config("loggers=[{name: wandb}]"), log_root=tmp_path, quiet=True)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())
