"""`rslcore import-checkpoint` and `rslcore export-checkpoint`, called in this process."""

from __future__ import annotations

import os
import sys

import attrs
import pytest
import rsl_rl_shapes as shapes
import torch
import yaml

import rslcore
from rslcore.cli import main
from rslcore.run.checkpoint import load_checkpoint, save_checkpoint
from rslcore_rsl_rl.files import read_rsl_rl

AGENT = {
    "seed": 42,
    "num_steps_per_env": 8,
    "max_iterations": 152,
    "obs_groups": {"actor": ["policy"], "critic": ["policy", "privileged"]},
    "actor": {
        "class_name": "MLPModel",
        "hidden_dims": [4, 5],
        "obs_normalization": True,
        "distribution_cfg": {"class_name": "GaussianDistribution"},
    },
    "critic": {"class_name": "MLPModel", "hidden_dims": [4, 5], "obs_normalization": True},
    "algorithm": {"class_name": "PPO", "num_mini_batches": 2},
    "save_interval": 50,
    "experiment_name": "swing",
}
PENDULUM = (
    "env.name=gymnasium",
    "env.id=Pendulum-v1",
    "env.num_envs=4",
    "env.groups={policy: [0, 1], privileged: [2]}",
    "device=cpu",
    "loggers=[]",
)
"""An env with the groups of the files."""

DISTILLATION = AGENT | {
    "obs_groups": {"student": ["policy"], "teacher": ["policy", "privileged"]},
    "student": AGENT["actor"],
    "teacher": AGENT["critic"],
    "algorithm": {"class_name": "Distillation", "gradient_length": 4},
}


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command in this process; give its exit code and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rslcore", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


@pytest.fixture
def write(tmp_path):
    """Write a checkpoint and the agent.yaml beside it."""

    def files(payload, agent=AGENT):
        torch.save(payload, tmp_path / "model_149.pt")
        (tmp_path / "agent.yaml").write_text(yaml.safe_dump(agent))
        return tmp_path / "model_149.pt", "--config", tmp_path / "agent.yaml", "--log-root", tmp_path / "logs"

    return files


def run_in(tmp_path, experiment="swing"):
    (run,) = (tmp_path / "logs" / experiment).iterdir()
    return run


def expected_actions(obs, state):
    """What the actor of a file does, written out."""
    rows = (obs["policy"] - state["obs_normalizer._mean"]) / (state["obs_normalizer._std"] + 1e-2)
    for layer in (0, 2):
        rows = torch.nn.functional.elu(rows @ state[f"mlp.{layer}.weight"].T + state[f"mlp.{layer}.bias"])
    return rows @ state["mlp.4.weight"].T + state["mlp.4.bias"]


@pytest.mark.parametrize("payload", [shapes.five(), shapes.three()], ids=["5", "3"])
def test_import_with_an_env(call, write, tmp_path, payload):
    code, out, err = call("import-checkpoint", *write(payload), *PENDULUM, "--run-name", "old")
    run = run_in(tmp_path)
    assert (code, err) == (0, "")
    assert out == (
        f"Imported iteration 150. The run lies in {run}\n"
        f"  evaluate it   rslcore eval {run}\n"
        f"  go on         rslcore train --resume {run}\n"
        f"  export it     rslcore export {run}\n"
    )
    assert run.name.endswith("_old")
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "model_150.pt", "plugins.yaml"]
    policy = rslcore.load_policy(run)
    obs = {"policy": torch.tensor([[0.3, -0.8], [2.0, 0.1]]), "privileged": torch.zeros(2, 1)}
    expected = expected_actions(obs, shapes.model("actor", std="std_param"))
    torch.testing.assert_close(policy(obs), expected, rtol=0, atol=1e-6)
    assert load_checkpoint(run / "model_150.pt").progress["total_steps"] == 150 * 4 * 8
    assert call("eval", run, "--episodes", "2", "--json")[0] == 0


def test_import_is_gone_on_with(call, write, tmp_path):
    call("import-checkpoint", *write(shapes.five()), *PENDULUM)
    run = run_in(tmp_path)
    code, out, _err = call("train", "--resume", run, "--quiet")
    assert (code, out) == (0, "")
    assert sorted(path.name for path in run.glob("*.pt")) == ["model_150.pt", "model_152.pt"]
    optimizer = load_checkpoint(run / "model_152.pt").algorithm["optimizer"]
    assert optimizer["groups"][0]["steps"] == 6 + 2 * 5 * 2  # of the file, and of two iterations


def test_import_without_an_env(call, write, tmp_path):
    code, out, err = call("import-checkpoint", *write(shapes.five()))
    run = run_in(tmp_path)
    assert code == 0
    assert err == "note: no env is named: the run acts and can be exported, but not be evaluated or gone on with\n"
    assert out == f"Imported iteration 150. The run lies in {run}\n  export it     rslcore export {run}\n"
    policy = rslcore.load_policy(run)
    assert {name: spec.shape for name, spec in policy.spec.observations.items()} == {"policy": (2,), "privileged": (1,)}
    obs = {"policy": torch.tensor([[0.3, -0.8]])}
    expected = expected_actions(obs, shapes.model("actor", std="std_param"))
    torch.testing.assert_close(policy(obs), expected, rtol=0, atol=1e-6)
    code, out, err = call("eval", run)
    assert code == 2
    assert "no function makes the env" in err


def test_import_with_a_config_of_ours(call, write, tmp_path):
    (tmp_path / "ours.yaml").write_text(
        yaml.safe_dump(
            {
                "experiment": "mine",
                "env": {"name": "gymnasium", "id": "Pendulum-v1", "num_envs": 4},
                "runner": {"name": "on_policy", "num_steps_per_env": 8},
                "policy": {
                    "name": "actor_critic",
                    "actor": {"network": {"name": "mlp", "hidden_dims": [4, 5]}, "distribution": {"name": "gaussian"}},
                    "critic": {"network": {"name": "mlp", "hidden_dims": [4, 5], "groups": ["policy", "privileged"]}},
                },
                "algorithm": {"name": "ppo"},
                "storage": {"name": "rollout"},
            }
        )
    )
    file, _, _, *rest = write(shapes.five(normalize=False))
    arguments = ("import-checkpoint", file, "--config", tmp_path / "ours.yaml", *rest, PENDULUM[3])
    assert call(*arguments)[0] == 0
    assert run_in(tmp_path, "mine").is_dir()


def test_import_where_the_env_cannot_be_made(call, write, tmp_path):
    env = ("env.name=vec_env", "env.factory=rsl_rl_shapes:make_no_env")
    code, out, err = call("import-checkpoint", *write(shapes.five()), *env)
    assert code == 0
    assert err.startswith(
        "note: the env cannot be made here, so the shapes are those of the file; import it again where it can, to "
        "evaluate it (env.factory: 'rsl_rl_shapes:make_no_env' cannot make the env: RuntimeError: no simulator here"
    )
    assert "evaluate it" not in out
    assert rslcore.load_policy(run_in(tmp_path)).spec.observations["policy"].shape == (2,)


def test_import_of_a_student(call, write, tmp_path):
    code, out, err = call("import-checkpoint", *write(shapes.student(), DISTILLATION), *PENDULUM)
    run = run_in(tmp_path)
    assert code == 0
    assert "rslcore train --resume" in out
    code, _, _ = call("train", "--resume", run, "--quiet")
    assert code == 0
    code, out, err = call("export-checkpoint", run, "-o", tmp_path / "back.pt")
    assert (code, err) == (0, "")
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    torch.testing.assert_close(back["teacher_state_dict"], shapes.model("teacher"))
    assert back["iter"] == 151


def test_import_of_a_student_needs_the_config_of_its_teacher(call, write, tmp_path):
    ours = {
        "env": {"name": "gymnasium", "id": "Pendulum-v1"},
        "runner": {"name": "on_policy", "num_steps_per_env": 8},
        "policy": {
            "name": "student_teacher",
            "student": {"network": {"name": "mlp", "hidden_dims": [4, 5]}, "distribution": {"name": "gaussian"}},
            "teacher": {"run": "logs/teacher"},
        },
        "algorithm": {"name": "distillation"},
        "storage": {"name": "rollout"},
    }
    files = write(shapes.student(), ours)
    code, _out, err = call("import-checkpoint", *files)
    assert code == 2
    assert err == (
        f"error: '{files[2]}' does not say what the network of the teacher in '{files[0]}' is; give the agent.yaml of "
        "rsl_rl that it was trained with\n"
    )


def test_import_of_another_size_leaves_nothing(call, write, tmp_path):
    agent = AGENT | {"critic": AGENT["critic"] | {"hidden_dims": [4, 6]}}
    files = write(shapes.five(), agent)
    code, _out, err = call("import-checkpoint", *files)
    assert code == 2
    assert err == (
        f"error: '{files[0]}' does not fit this config:\n"
        "  critic_state_dict['mlp.2.weight'] is [5, 4] in the file, and 'critic.layers.2.weight' is [6, 4] here\n"
        "  critic_state_dict['mlp.2.bias'] is [5] in the file, and 'critic.layers.2.bias' is [6] here\n"
        "  critic_state_dict['mlp.4.weight'] is [1, 5] in the file, and 'critic.layers.4.weight' is [1, 6] here\n"
    )
    assert not (tmp_path / "logs").exists()


def test_import_with_sizes_that_are_not_known(call, write):
    agent = AGENT | {"obs_groups": {"actor": ["policy", "scan"], "critic": ["policy", "scan"]}}
    files = write(shapes.five(), agent)
    code, _out, err = call("import-checkpoint", *files)
    assert code == 2
    assert "'actor' reads 2 numbers of 'policy', 'scan'; give the size of all but one, as in --obs policy=48" in err
    payload = shapes.five()
    payload["critic_state_dict"] = shapes.model("critic") | {
        name: value[..., :2] for name, value in shapes.model("critic").items() if value.shape[-1:] == (3,)
    }
    assert call("import-checkpoint", *write(payload, agent), "--obs", "scan=1")[0] == 0
    code, _out, err = call("import-checkpoint", *files, "--obs", "scan")
    assert code == 2
    assert "'scan' should be written GROUP=SIZE, as in policy=48, or camera=3x64x64 for an image" in err


def test_import_with_sizes_and_an_env(call, write):
    code, _out, err = call("import-checkpoint", *write(shapes.five()), *PENDULUM, "--obs", "policy=2")
    assert (code, err) == (2, "error: the env says the shapes of its groups; leave --obs 'policy' out\n")


def test_import_with_a_config_of_another_version(call, write):
    agent = AGENT | {"algorithm": {"class_name": "PPOO"}}
    code, _out, err = call("import-checkpoint", *write(shapes.five(), agent))
    assert code == 2
    assert "did you mean 'PPO'?" in err


def test_import_with_a_config_that_is_none(call, write, tmp_path):
    code, _out, err = call("import-checkpoint", *write(shapes.five(), ["a list"]))
    assert (code, err) == (
        2,
        f"error: '{tmp_path / 'agent.yaml'}' should be a mapping, as the agent.yaml beside a checkpoint of rsl_rl is\n",
    )


def test_import_that_cannot_be_written_leaves_nothing(call, write, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    files = write(shapes.five())
    monkeypatch.setattr(os, "fsync", full)
    code, _out, err = call("import-checkpoint", *files)
    assert code == 2
    assert "cannot be written: No space left on device" in err
    assert [*(tmp_path / "logs" / "swing").iterdir()] == []


def test_export(call, write, tmp_path):
    call("import-checkpoint", *write(shapes.five()))
    run = run_in(tmp_path)
    code, out, err = call("export-checkpoint", run, "--format", "rsl_rl")
    path = run / "rsl_rl" / "model_149.pt"
    assert (code, err) == (0, "")
    assert out == f"Wrote iteration 150 as {path}\n  load it in rsl_rl   runner.load('{path}')\n"
    torch.testing.assert_close(
        torch.load(path, weights_only=True)["actor_state_dict"], shapes.five()["actor_state_dict"]
    )
    assert read_rsl_rl(path).iteration == 150
    assert rslcore.load_policy(run) is not None  # what is beside the run's own checkpoints is none of them


def test_export_of_what_rsl_rl_has_nothing_like(call, write, tmp_path):
    call("import-checkpoint", *write(shapes.five()))
    run = run_in(tmp_path)
    checkpoint = load_checkpoint(run / "model_150.pt")
    policy = {**checkpoint.config["policy"], "name": "q_network"}
    save_checkpoint(run / "model_150.pt", attrs.evolve(checkpoint, config={**checkpoint.config, "policy": policy}))
    code, _out, err = call("export-checkpoint", run)
    message = "rsl_rl has nothing like the policy 'q_network'; of ours it has 'actor_critic', 'student_teacher'"
    assert (code, err) == (2, f"error: {message}\n")
    assert not (run / "rsl_rl").exists()


def test_export_into_a_folder_that_is_not_there(call, write, tmp_path):
    call("import-checkpoint", *write(shapes.five()))
    path = tmp_path / "nowhere" / "model.pt"
    code, _out, err = call("export-checkpoint", run_in(tmp_path), "-o", path)
    assert (code, err) == (2, f"error: the checkpoint '{path}' cannot be written: No such file or directory\n")
