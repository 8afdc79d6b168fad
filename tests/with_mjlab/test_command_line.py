"""mjlab's tasks from the command line."""

from __future__ import annotations

import dataclasses
import json

import pytest
import yaml
from mjlab.rl import MjlabOnPolicyRunner
from mjlab.tasks.registry import list_tasks, load_env_cfg, load_rl_cfg

from rslcore.config import load_config
from rslcore.errors import ConfigError
from rslcore_mjlab.config import MjlabConfig

TASK = "Mjlab-Cartpole-Balance"
SHORT = ("env.num_envs=64", "env.changes.episode_length_s=1.0")
"""Episodes of 20 steps."""


@pytest.fixture
def rslcore(rslcore, monkeypatch, tmp_path):
    """In an empty folder."""
    monkeypatch.chdir(tmp_path)
    return rslcore


def config_of(folder):
    return yaml.safe_load((folder / "config.yaml").read_text())


def test_train_eval_resume_and_export(rslcore, tmp_path):
    code, out, err = rslcore("train", "mjlab", f"env.task={TASK}", *SHORT, "iterations=3", "loggers=[]")
    assert (code, err) == (0, "")
    assert "Trained 3 iterations." in out
    assert "Module " not in out  # of each kernel
    (run,) = (tmp_path / "logs" / "cartpole").iterdir()
    assert config_of(run)["env"]["task"] == TASK
    code, out, _ = rslcore("eval", run, "--episodes", 64, "--json")
    assert code == 0
    evaluated = json.loads(out[out.index("{\n") :])
    assert evaluated["iteration"] == 3
    assert evaluated["length"]["mean"] == 20.0
    assert 0.0 < evaluated["return"]["mean"] < 1.0
    code, out, _ = rslcore("train", "--resume", run, "iterations=5")
    assert code == 0
    assert "Trained 5 iterations." in out
    code, out, err = rslcore("export", run, "--verify")
    assert (code, err) == (0, "")
    assert "verified over 300 steps" in out
    assert (run / "exported" / "policy.onnx").is_file()


def test_run_of_mjlabs_own_runner_is_taken_over(rslcore, env, agent, tmp_path):
    runner = MjlabOnPolicyRunner(env, agent(), str(tmp_path), "cpu")
    runner.learn(1)
    (tmp_path / "agent.yaml").write_text(yaml.dump(agent()))  # with Python's tuples, as mjlab writes it
    of_env = ["env.name=mjlab", f"env.task={TASK}", *SHORT]
    code, _, err = rslcore("import-checkpoint", "model_0.pt", "--config", "agent.yaml", *of_env)
    assert code == 0, err
    (run,) = (tmp_path / "logs" / "cartpole").iterdir()
    code, out, err = rslcore("eval", run, "--episodes", 64)
    assert code == 0, err
    assert "64 episodes of" in out
    code, out, err = rslcore("train", "--resume", run, "iterations=2", "loggers=[]")
    assert code == 0, err
    assert "Trained 2 iterations." in out


def test_recipe_takes_the_tasks_own_agent():
    config = load_config("mjlab", [f"env.task={TASK}"])
    theirs = load_rl_cfg(TASK)
    assert config.env.config == MjlabConfig(task=TASK, num_envs=load_env_cfg(TASK).scene.num_envs)
    assert (config.seed, config.iterations, config.experiment) == (
        theirs.seed,
        theirs.max_iterations,
        theirs.experiment_name,
    )
    runner, policy, algorithm = config.runner.config, config.policy.config, config.algorithm.config
    assert (runner.num_steps_per_env, runner.save_interval) == (theirs.num_steps_per_env, theirs.save_interval)
    assert policy.actor.network.config.hidden_dims == theirs.actor.hidden_dims
    assert policy.actor.distribution.config.init_std == theirs.actor.distribution_cfg["init_std"]
    assert policy.critic.network.config.groups == theirs.obs_groups["critic"]
    same = dataclasses.asdict(theirs.algorithm)
    ours = {"normalize_advantage_per_mini_batch", "share_cnn_encoders", "class_name"}  # have another name or place
    assert {name: getattr(algorithm, name) for name in same if name not in ours} == {
        name: value for name, value in same.items() if name not in ours
    }


OWN_MODEL = {"Mjlab-Lift-Cube-Yam-Depth", "Mjlab-Lift-Cube-Yam-Rgb", "Mjlab-Multi-Cube-Seg-Yam"}


@pytest.mark.parametrize("task", [task for task in list_tasks() if task.startswith("Mjlab-")])
def test_recipe_takes_every_task_but_those_with_a_model_of_mjlabs_own(task):
    if task not in OWN_MODEL:
        assert load_config("mjlab", [f"env.task={task}"]).env.config.task == task
        return
    with pytest.raises(ConfigError) as caught:
        load_config("mjlab", [f"env.task={task}"])
    what = (
        "class_name: 'mjlab.rl.spatial_softmax:SpatialSoftmaxCNNModel' is no class of rsl_rl; rslcore has no place "
        "for it here: it would have to be a plugin of rslcore, or an extension of PPO, see 'Configs' in docs/rsl_rl.md"
    )
    assert str(caught.value) == f"2 problems:\n  actor.{what}\n  critic.{what}"


def test_recipe_without_a_task(rslcore):
    code, out, err = rslcore("train", "mjlab")
    assert (code, out) == (2, "")
    assert err.startswith("error: env.task: name a task, as in env.task=Mjlab-Cartpole-Balance (tasks: 'Mjlab-Cart")


def test_task_of_another_name(rslcore):
    code, _, err = rslcore("train", "mjlab", "env.task=Mjlab-Cartpole-Balanse")
    assert code == 2
    assert err.startswith(
        "error: env.task: mjlab has no task 'Mjlab-Cartpole-Balanse'; did you mean 'Mjlab-Cartpole-Balance'? (tasks: "
    )


def test_changes_of_what_is_not_there(rslcore):
    changes = "env.changes={episode_lenght_s: 1, sim.mujoco.timestp: 0.1, observations.actor.enable_corruption: false}"
    code, _, err = rslcore("train", "mjlab", f"env.task={TASK}", changes)
    assert code == 2
    head, *problems = err.splitlines()
    assert head == "error: 2 problems:"
    assert problems[0].startswith(
        "  env.changes.episode_lenght_s: the task's configuration has no 'episode_lenght_s'; did you mean "
        "'episode_length_s'? (there are: "
    )
    assert problems[1].startswith(
        "  env.changes.sim.mujoco.timestp: the task's configuration has no 'sim.mujoco.timestp'; did you mean "
        "'timestep'? (there are: "
    )
