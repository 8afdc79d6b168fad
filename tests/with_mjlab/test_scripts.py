"""mjlab's own `train` and `play`, unchanged, with tasks whose runner is one over rslcore."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
import yaml
from tensordict import TensorDict

from rslcore.run.checkpoint import load_checkpoint

HERE = Path(__file__).parent
TRAIN = ["--gpu-ids", "None", "--agent.logger", "tensorboard", "--agent.max-iterations", "3"]
TRAIN += ["--env.scene.num-envs", "32", "--agent.num-steps-per-env", "8", "--agent.save-interval", "2"]


def call(folder, *command):
    """Run Python in a process of its own, where the lab's package is installed; returns what it printed."""
    paths = [str(HERE / "packages"), *sys.path]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARN]" not in done.stdout, done.stdout
    return done.stdout


@pytest.fixture(scope="module", params=["Lab-Cartpole", "Lab-Cartpole-Rebased"])
def trained(request, tmp_path_factory):
    """A task that mjlab's `train` has trained, and the folder of its run."""
    folder = tmp_path_factory.mktemp("lab")
    call(folder, "-m", "mjlab.scripts.train", request.param, *TRAIN)
    (run,) = (folder / "logs" / "rsl_rl" / "cartpole").iterdir()
    return request.param, run


def test_train_leaves_what_mjlab_leaves(trained):
    _, run = trained
    assert {path.name for path in run.glob("*.pt")} == {"model_0.pt", "model_2.pt"}
    assert next(run.glob("events.*"))
    assert (run / "params" / "agent.yaml").is_file()
    assert (run / "config.yaml").is_file()
    payload = torch.load(run / "model_2.pt", weights_only=True)
    assert payload["iter"] == 2
    assert payload["infos"]["env_state"]["common_step_counter"] == 3 * 8


def test_play_acts_as_mjlabs_own_runner_would(trained, env, agent):
    from mjlab.rl import MjlabOnPolicyRunner

    task, run = trained
    arguments = ["--checkpoint-file", str(run / "model_2.pt"), "--num-envs", "4", "--device", "cpu"]
    *_, last = call(run, str(HERE / "play_unseen.py"), task, *arguments, "--viewer", "viser").splitlines()
    played = json.loads(last)
    assert played["steps"] == [12, 25]
    assert played["checkpoints"] == ["model_0.pt", "model_2.pt"]
    stock = MjlabOnPolicyRunner(env, agent(), None, "cpu")
    stock.load(str(run / "model_2.pt"), load_cfg={"actor": True})
    ones = TensorDict({name: torch.ones(4, 5) for name in ("actor", "critic")}, batch_size=[4])
    with torch.inference_mode():
        expected = stock.get_inference_policy("cpu")(ones)
    torch.testing.assert_close(torch.tensor(played["actions"]), expected, rtol=0, atol=1e-6)


def test_train_resumes(trained):
    task, run = trained
    folder = run.parents[3]
    text = call(folder, "-m", "mjlab.scripts.train", task, *TRAIN, "--agent.resume", "True", "--agent.run-name", "on")
    assert "Loading model checkpoint from" in text
    (resumed,) = (folder / "logs" / "rsl_rl" / "cartpole").glob("*_on")
    payload = torch.load(resumed / "model_5.pt", weights_only=True)  # rsl_rl gives index 2 to two iterations
    assert payload["iter"] == 5
    assert payload["infos"]["env_state"]["common_step_counter"] == 2 * 3 * 8


def test_onnx_file_of_a_lab_acts_as_its_checkpoint(trained):
    task, run = trained
    if task != "Lab-Cartpole":
        pytest.skip("mjlab's own runner writes none for this task")
    session = onnxruntime.InferenceSession(run / "lab.onnx")
    assert session.get_modelmeta().custom_metadata_map["run_path"] == "local"
    weights = torch.load(run / "model_2.pt", weights_only=True)["actor_state_dict"]
    (actions,) = session.run(None, {"obs": torch.ones(1, 5).numpy()})
    hidden = torch.ones(1, 5)
    for layer in (0, 2, 4):
        hidden = torch.nn.functional.linear(hidden, weights[f"mlp.{layer}.weight"], weights[f"mlp.{layer}.bias"])
        hidden = torch.nn.functional.elu(hidden) if layer < 4 else hidden
    torch.testing.assert_close(torch.from_numpy(actions), hidden, rtol=0, atol=1e-6)


def test_run_of_a_lab_is_a_run_of_rslcore(trained):
    task, run = trained
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["env"]["name"] == "vec_env"
    if task == "Lab-Cartpole":  # mjlab's own runner saves what rsl_rl's algorithm says, and nothing else
        assert load_checkpoint(run / "model_2.pt").iteration == 3
