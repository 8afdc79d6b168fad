"""mjlab's tasks, with what stands in for mjlab; and what is said without it. tests/with_mjlab has mjlab itself."""

from __future__ import annotations

import contextlib
import importlib
import sys

import pytest
import torch

from rslcore.config import EnvComponent, load_config
from rslcore.context import Context
from rslcore.errors import ConfigError, MissingExtraError
from rslcore.evaluation import evaluate
from rslcore.registry import default_registry
from rslcore.training import train
from rslcore_mjlab.config import MjlabConfig

TASK = "Mjlab-Point-Mass"
TASKS = "(tasks: 'Mjlab-Point-Mass', 'Mjlab-Point-Mass-Rgb')"


@pytest.fixture
def build():
    """Makes the env of a task."""
    with contextlib.ExitStack() as stack:

        def make(task=TASK, **options):
            context = Context(default_registry(), None, torch.device("cpu"), 7, 8)
            env = context.build(EnvComponent("mjlab", MjlabConfig(task=task, **options)), "env")
            return stack.enter_context(contextlib.closing(env))

        yield make


def error_of(call, *arguments, **options):
    with pytest.raises((ConfigError, MissingExtraError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_env_is_made_by_mjlab(mjlab, build):
    env = build(num_envs=3, clip_actions=2.0)
    assert type(env.env).__name__ == "RslRlVecEnvWrapper"
    assert (env.unwrapped.cfg.seed, env.unwrapped.cfg.scene.num_envs) == (7, 3)
    assert env.spec.num_envs == 3
    assert env.spec.max_episode_length == 40
    assert env.spec.actions.high == (2.0, 2.0)
    assert env.spec.actions.names == ("push_x", "push_y")


def test_env_without_options_is_as_the_task_says(mjlab, build):
    assert build().spec.num_envs == 12


def test_env_as_it_is_played(mjlab, build):
    assert build(play=True).spec.max_episode_length == 400


@pytest.fixture
def endless(mjlab):
    """A task as those of mjlab: where it is played, without noise, its episodes do not end."""
    envs, registry = importlib.import_module("mjlab.envs"), importlib.import_module("mjlab.tasks.registry")
    importlib.import_module("mjlab.tasks")
    task_cfg, played = envs.ManagerBasedRlEnvCfg(), envs.ManagerBasedRlEnvCfg(episode_length_s=int(1e9), rewards={})
    registry.register_mjlab_task("Mjlab-Endless", task_cfg, played, registry.load_rl_cfg(TASK))
    return "Mjlab-Endless"


def test_env_as_it_is_played_ends_as_in_training_where_it_does_not_end(endless, build):
    played = build(task=endless, play=True)
    assert played.spec.max_episode_length == build(task=endless).spec.max_episode_length == 40
    assert played.unwrapped.cfg.rewards == {}
    changed = build(task=endless, play=True, changes={"episode_length_s": 2e9})
    assert changed.spec.max_episode_length == 100_000_000_000


def test_run_is_evaluated_as_it_is_played(endless, tmp_path):
    overrides = [f"env.task={endless}", "device=cpu", "iterations=1", "loggers=[]"]
    path = train(load_config("mjlab", overrides), log_root=tmp_path, quiet=True).path
    lengths = evaluate(path, episodes=12, overrides=["env.play=true"]).lengths
    assert len(lengths) == 12
    assert max(lengths) <= 40


def test_env_with_a_changed_task(mjlab, build):
    changes = {"episode_length_s": 0.2, "sim.njmax": 9, "rewards.near.params.std": 0.1, "joint_names": ["a", "b"]}
    task_cfg = build(changes=changes).unwrapped.cfg
    assert (task_cfg.episode_length_s, task_cfg.sim.njmax, task_cfg.joint_names) == (0.2, 9, ("a", "b"))
    assert task_cfg.rewards["near"].params == {"std": 0.1}
    assert build().unwrapped.cfg.sim.njmax is None  # a task is changed for this env alone


def test_task_is_changed_on_the_command_line(mjlab, build):
    overrides = ["env.changes.sim.mujoco.timestep=0.02", "env.changes.rewards.near={weight: 3.0, params: {std: 0.1}}"]
    config = load_config("mjlab", [f"env.task={TASK}", *overrides])
    task_cfg = build(changes=config.env.config.changes).unwrapped.cfg
    assert (task_cfg.sim.mujoco.timestep, task_cfg.sim.njmax) == (0.02, None)
    assert (task_cfg.rewards["near"].weight, task_cfg.rewards["near"].params) == (3.0, {"std": 0.1})
    assert build(changes={"rewards": {}}).unwrapped.cfg.rewards == {}


def test_changes_of_several_settings_at_once(mjlab, build):
    assert error_of(build, changes={"sim": 3, "scene": {}}) == (
        "2 problems:\n"
        "  env.changes.sim: 'sim' is several settings; name those that are to be changed: 'mujoco', 'njmax'\n"
        "  env.changes.scene: 'scene' is several settings; name those that are to be changed: 'num_envs'"
    )


def test_changes_of_what_is_not_there(mjlab, build):
    message = error_of(
        build, changes={"sim.njmx": 9, "reward.near.weight": 3, "episode_length_s.x": 1, "decimation": 4}
    )
    assert message == (
        "3 problems:\n"
        "  env.changes.sim.njmx: the task's configuration has no 'sim.njmx'; did you mean 'njmax'? (there are: "
        "'mujoco', 'njmax')\n"
        "  env.changes.reward.near.weight: the task's configuration has no 'reward'; did you mean 'rewards'? (there "
        "are: 'decimation', 'episode_length_s', 'is_finite_horizon', 'joint_names', 'observations', 'rewards', "
        "'scene', 'seed', 'sim')\n"
        "  env.changes.episode_length_s.x: the task's configuration has no 'episode_length_s.x'"
    )


def test_kernels_are_loaded_without_a_line_each(mjlab, build):
    build()
    warp = sys.modules["warp"]
    assert warp.config.log_level == warp.LOG_WARNING


def test_recipe_takes_the_agents_own_settings(mjlab):
    config = load_config("mjlab", [f"env.task={TASK}", "env.num_envs=6"])
    assert config.env.name == "mjlab"
    assert config.env.config == MjlabConfig(task=TASK, num_envs=6, clip_actions=5.0)
    assert load_config("mjlab", [f"env.task={TASK}"]).env.config.num_envs == 12
    assert (config.experiment, config.seed, config.iterations) == ("point_mass", 42, 3)
    assert config.runner.config.num_steps_per_env == 24
    assert config.runner.config.init_at_random_ep_len
    assert config.policy.config.critic.network.config.groups == ("critic",)
    assert config.algorithm.config.entropy_coef == 0.01
    assert [logger.name for logger in config.loggers] == ["console", "tensorboard"]


def test_recipe_trains(mjlab, tmp_path):
    overrides = [f"env.task={TASK}", "device=cpu", "iterations=2", "loggers=[]"]
    result = train(load_config("mjlab", overrides), log_root=tmp_path, quiet=True)
    assert result.iteration == 2


def test_recipe_without_a_task(mjlab):
    assert error_of(load_config, "mjlab") == f"env.task: name a task, as in env.task=Mjlab-Point-Mass {TASKS}"


@pytest.mark.parametrize("what", ["env", "recipe"])
def test_task_of_another_name(mjlab, build, what):
    call = build if what == "env" else (lambda task: load_config("mjlab", [f"env.task={task}"]))
    assert error_of(call, "Mjlab-Point-Mess") == (
        f"env.task: mjlab has no task 'Mjlab-Point-Mess'; did you mean '{TASK}'? {TASKS}"
    )


def test_recipe_of_a_task_whose_model_is_mjlabs_own(mjlab):
    assert error_of(load_config, "mjlab", [f"env.task={TASK}-Rgb"]) == (
        "actor.class_name: 'mjlab.rl.spatial_softmax:SpatialSoftmaxCNNModel' is no class of rsl_rl; rslcore has no "
        "place for it here: it would have to be a plugin of rslcore, or an extension of PPO, see 'Configs' in "
        "docs/rsl_rl.md"
    )


def test_recipe_whose_task_is_misspelt_says_so_without_mjlab():
    assert error_of(load_config, "mjlab", [f"env.tsk={TASK}"]) == (
        "1 problem in mjlab:\n  env.tsk: unknown key; did you mean 'task'? (keys: 'changes', 'clip_actions', "
        "'num_envs', 'play', 'task')"
    )


@pytest.mark.parametrize("what", ["env", "recipe"])
def test_mjlab_that_is_not_installed(build, what):
    call = build if what == "env" else (lambda: load_config("mjlab", [f"env.task={TASK}"]))
    assert error_of(call) == (
        "env 'mjlab' needs a package that is not installed; type `pip install 'rslcore[mjlab]'` (No module named "
        "'mjlab')"
    )
