"""Real runs of Weights & Biases, in files."""

from __future__ import annotations

import json
import logging
import os
import signal
import struct
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import stand_ins
from agents import AGENTS

from rslcore.config import unstructure
from rslcore.errors import MissingExtraError
from rslcore.run.checkpoint import load_checkpoint
from rslcore.training import train
from rslcore_rsl_rl import OnPolicyRunner

wandb = pytest.importorskip("wandb")
FilesItem = pytest.importorskip("wandb.proto.wandb_internal_pb2").FilesItem

BLOCK = 32768

VIDEO = (107).to_bytes(4, "big") + b"mdat" + b"1" * 99 + (9).to_bytes(4, "big") + b"moov2"
"""A file that looks like a whole one to those who do not play it."""


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
            {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            for record in found["history"]
        ],
        files={
            item.path: item.policy
            for record in found.get("files", ())
            for item in record.files.files
            if item.path != "requirements.txt"  # W&B's own
        },
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


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("genesis", {"episode_length_s": 0.8, "num_actions": 2}),
        ("isaac_lab", {"is_finite_horizon": False, "seed": 1, "compute_final_obs": False}),
        ("playground", None),
    ],
)
def test_wandb_has_the_env_cfg_of_a_scripts_run_as_rsl_rl_has_it(family, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    env = stand_ins.FAMILIES[family](4, "cpu", 1)
    cfg = {**AGENTS[family], "logger": "wandb", "wandb_project": "walking"}
    OnPolicyRunner(env, cfg, str(tmp_path), "cpu").learn(1)
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    run = read_run(path)
    assert run.header.project == "walking"
    assert run.config["algorithm"]["name"] == "ppo"
    assert run.config.get("env_cfg") == expected


def test_wandb_has_the_env_cfg_of_a_run_whose_env_rslcore_makes(small_config, tmp_path):
    env = "env={name: vec_env, factory: 'stand_ins:isaac_lab', num_envs: 4}"
    groups = [f"policy.{name}.network.groups=[policy]" for name in ("actor", "critic")]
    distribution = "policy.actor.distribution={name: gaussian}"
    config = small_config(env, *groups, distribution, "loggers=[{name: wandb, mode: offline}]")
    result = train(config, log_root=tmp_path, quiet=True)
    (path,) = result.path.glob("wandb/offline-run-*/*.wandb")
    found = read_run(path).config
    assert found.pop("env_cfg") == {"is_finite_horizon": False, "seed": config.seed, "compute_final_obs": False}
    assert found == json.loads(json.dumps(unstructure(config)))


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


class Server(BaseHTTPRequestHandler):
    """As much of W&B's server as a run needs to begin."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = request.get("variables", {}).get("name", "")
        project = {"id": "p", "name": "walking", "entity": {"id": "e", "name": "lab"}}
        bucket = {"id": "b", "name": name, "displayName": name, "config": "{}", "project": project}
        answers = {
            "UpsertBucket": {"upsertBucket": {"bucket": bucket, "inserted": True}},
            "CreateRunFiles": {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}},
        }
        answer = json.dumps({"data": answers.get(request.get("operationName"), {})}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def online(monkeypatch):
    """A server that answers until it is called."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)

    def leave():
        if thread.is_alive():
            server.shutdown()
            thread.join()
            server.server_close()

    yield leave
    leave()


def test_wandb_whose_network_goes_away_goes_on_in_files(small_config, tmp_path, monkeypatch, caplog, online, capfd):
    def leave_before_the_second(self, iteration, total_iterations):
        if iteration == 1:
            online()

    monkeypatch.setattr("rslcore_ppo.ppo.PPO.start_iteration", leave_before_the_second)
    config = small_config(
        "iterations=3", "runner.save_interval=1", "loggers=[{name: wandb, timeout: 4, upload_models: true}]"
    )
    result = train(config, log_root=tmp_path, quiet=True)
    assert result.iteration == 3
    (path,) = result.path.glob("wandb/run-*/*.wandb")
    (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("rslcore")]
    assert message == (
        f"Weights & Biases has not received all of the run in 4 seconds; `wandb sync {path.parent}` sends the rest"
    )
    assert [row["iteration"] for row in read_run(path).rows] == [1, 2, 3]
    assert capfd.readouterr() == ("", "")


SERVICE_KILLED = """
import os, signal
from pathlib import Path
from rslcore.config import load_config
from rslcore.training import train
from rslcore_ppo.ppo import PPO

def kill_before_the_second(self, iteration, total_iterations):
    if iteration == 1:
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            if "wandb" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(int(child), signal.SIGKILL)

PPO.start_iteration = kill_before_the_second
loggers = "loggers=[{name: wandb, mode: offline}, {name: jsonl}]"
overrides = ("iterations=3", "env.num_envs=4", "runner.num_steps_per_env=8", loggers)
assert train(load_config("cartpole", overrides), log_root=LOG_ROOT, quiet=True).iteration == 3
"""


def test_wandb_whose_own_process_dies_costs_the_logger_and_not_the_run(tmp_path):
    code = SERVICE_KILLED.replace("LOG_ROOT", repr(str(tmp_path)))
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ended.returncode == 0
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("logger")]
    assert [line.partition(": ")[0] for line in warnings] == ["logger WandbLogger failed and is left out from now on"]
    (metrics,) = tmp_path.glob("cartpole/*/metrics.jsonl")
    assert len(metrics.read_text().splitlines()) == 3


def test_wandb_sends_each_video_once_when_it_is_whole(small_config, tmp_path, monkeypatch):
    """A resumed run sends those that came since its checkpoint, and those that were written anew."""

    def film(self, iteration, total_iterations):
        (folder,) = (tmp_path / "cartpole").iterdir()
        videos = folder / "videos" / "train"
        videos.mkdir(parents=True, exist_ok=True)
        if iteration == 0:
            (videos / "step-0.mp4").write_bytes(VIDEO)
        if iteration == 1:
            (videos / "step-1.mp4").write_bytes(VIDEO[:-1])  # is being written
        if iteration == 2:
            (videos / "step-1.mp4").write_bytes(VIDEO)
            (videos / "step-2.mp4").write_bytes(VIDEO[:-1])  # and never will be whole
        if iteration == 3:
            (videos / "step-0.mp4").write_bytes(VIDEO + VIDEO)

    monkeypatch.setattr("rslcore_loggers.wandb.VIDEO_INTERVAL", 0.0)
    monkeypatch.setattr("rslcore_ppo.ppo.PPO.start_iteration", film)
    logger = "loggers=[{name: wandb, mode: offline}]"
    path = train(small_config("iterations=3", logger), log_root=tmp_path, quiet=True).path
    state = load_checkpoint(path / "model_3.pt").progress["loggers"]["wandb"]
    assert set(state["videos"]) == {"videos/train/step-0.mp4", "videos/train/step-1.mp4"}
    train(small_config("iterations=4", logger), resume=path, quiet=True)

    runs = [read_run(file) for file in sorted(path.glob("wandb/offline-run-*/*.wandb"))]
    sent = [[(row["iteration"], row["video/caption"]) for row in run.rows if "video/path" in row] for run in runs]
    assert sent == [[(1, "videos/train/step-0.mp4"), (3, "videos/train/step-1.mp4")], [(4, "videos/train/step-0.mp4")]]
    assert [row["iteration"] for row in runs[0].rows if "Loss/value" in row] == [1, 2, 3]
    (video,) = [row for row in runs[1].rows if "video/path" in row]
    (file,) = path.glob(f"wandb/offline-run-*/files/{video['video/path']}")
    assert file.read_bytes() == VIDEO + VIDEO
    assert (video["video/_type"], runs[1].files[video["video/path"]]) == ("video-file", FilesItem.NOW)


def test_wandb_video_that_cannot_be_sent_costs_itself(small_config, tmp_path, monkeypatch, caplog):
    def film(self, iteration, total_iterations):
        (folder,) = (tmp_path / "cartpole").iterdir()
        if iteration == 0:
            (folder / "a.mp4").write_bytes(VIDEO)
            (folder / "gone.mp4").symlink_to(folder / "nowhere")
            (media,) = folder.glob("wandb/offline-run-*/files")
            (media / "media").write_text("a file where a folder should be")

    monkeypatch.setattr("rslcore_loggers.wandb.VIDEO_INTERVAL", 0.0)
    monkeypatch.setattr("rslcore_ppo.ppo.PPO.start_iteration", film)
    config = small_config("loggers=[{name: wandb, mode: offline}]")
    path = train(config, log_root=tmp_path, quiet=True).path
    (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("rslcore")]
    assert message.startswith(f"the video '{path / 'a.mp4'}' cannot be sent: [Errno ")
    (file,) = path.glob("wandb/offline-run-*/*.wandb")
    assert [row["iteration"] for row in read_run(file).rows] == [1, 2]


@pytest.mark.parametrize("upload_models", [True, False])
def test_wandb_sends_models_if_it_is_asked_to_and_the_code_state_always(small_config, tmp_path, upload_models, capfd):
    """The files of a run whose folder has brackets in its name, which are patterns to wandb."""
    repository = tmp_path / "walking"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    config = small_config(
        "runner.save_interval=1",
        f"repositories=[{repository}]",
        f"loggers=[{{name: wandb, mode: offline, upload_models: {str(upload_models).lower()}}}]",
    )
    path = train(config, log_root=tmp_path / "logs[1]", quiet=True).path
    (file,) = path.glob("wandb/offline-run-*/*.wandb")
    models = ["model_1.pt", "model_2.pt"] if upload_models else []
    assert read_run(file).files == dict.fromkeys(["git/walking.diff", *models], FilesItem.NOW)
    for name in ("git/walking.diff", *models):
        assert (file.parent / "files" / name).samefile(path / name)
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
