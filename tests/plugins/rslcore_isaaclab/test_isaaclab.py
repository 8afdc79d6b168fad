"""Isaac Lab's tasks, with what stands in for Isaac Lab; and what is said without it."""

from __future__ import annotations

import contextlib
import sys
from types import SimpleNamespace

import pytest
import torch

from rslcore.config import EnvComponent, load_config
from rslcore.context import Context
from rslcore.errors import ConfigError, MissingExtraError
from rslcore.registry import default_registry
from rslcore.training import train
from rslcore_isaaclab.config import IsaacLabConfig
from rslcore_isaaclab.tasks import observation_groups

TASK = "Isaac-Point-Mass-v0"


@pytest.fixture
def build():
    """Makes the env of a task."""
    with contextlib.ExitStack() as stack:

        def make(task=TASK, **options):
            context = Context(default_registry(), None, torch.device("cpu"), 7, 8)
            env = context.build(EnvComponent("isaaclab", IsaacLabConfig(task=task, **options)), "env")
            return stack.enter_context(contextlib.closing(env))

        yield make


def launched():
    return sys.modules["isaaclab.app"].LAUNCHED


def error_of(call, *arguments, **options):
    with pytest.raises((ConfigError, MissingExtraError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_env_is_made_by_isaac_lab(isaaclab, build):
    env = build(num_envs=3, clip_actions=2.0, headless=False, changes={"episode_length_s": 0.2, "sim.dt": 0.04})
    assert launched() == [{"headless": False, "enable_cameras": False, "device": "cpu"}]
    task_cfg = env.unwrapped.cfg
    assert (task_cfg.seed, task_cfg.sim.device, task_cfg.scene.num_envs) == (7, "cpu", 3)
    assert type(env.env).__name__ == "RslRlVecEnvWrapper"
    assert env.spec.num_envs == 3
    assert env.spec.max_episode_length == 5
    assert env.spec.actions.high == (2.0, 2.0)
    assert not env.spec.keeps_final_obs


def test_env_without_options_is_as_the_task_says(isaaclab, build):
    env = build()
    assert env.spec.num_envs == 12
    assert env.spec.max_episode_length == 40
    assert launched() == [{"headless": True, "enable_cameras": False, "device": "cpu"}]


def test_env_computes_final_observations_where_the_task_is_told_to(isaaclab, build):
    assert build(changes={"compute_final_obs": True}).spec.keeps_final_obs


def test_env_begins_anew_though_the_wrapper_has_no_reset(isaaclab, build):
    env = build(num_envs=2)
    assert not hasattr(env.env, "reset")
    env.reset()
    env.step(torch.zeros(2, 2))
    assert env.reset().batch_size == (2,)
    assert env.unwrapped.episode_length_buf.tolist() == [0, 0]


def test_recipe_takes_the_agents_own_settings(isaaclab):
    config = load_config("isaaclab", [f"env.task={TASK}", "env.num_envs=6", "device=cpu"])
    assert config.env.name == "isaaclab"
    assert config.env.config == IsaacLabConfig(task=TASK, num_envs=6, clip_actions=5.0)
    assert load_config("isaaclab", [f"env.task={TASK}", "device=cpu"]).env.config.num_envs == 12
    assert (config.experiment, config.seed, config.iterations) == ("point_mass", 42, 3)
    assert config.runner.config.num_steps_per_env == 24
    assert config.runner.config.init_at_random_ep_len
    assert config.policy.config.critic.network.config.groups == ("policy", "critic")
    assert config.algorithm.config.entropy_coef == 0.005
    assert [logger.name for logger in config.loggers] == ["console", "tensorboard"]


def test_recipe_trains(isaaclab, tmp_path):
    overrides = [f"env.task={TASK}", "env.num_envs=null", "device=cpu", "iterations=2", "loggers=[]"]
    result = train(load_config("isaaclab", overrides), log_root=tmp_path, quiet=True)
    assert result.iteration == 2
    assert result.metrics["Curriculum/level"] == 3.0
    assert len(launched()) == 1


def test_recipe_of_settings_that_name_no_groups_takes_those_of_the_task(isaaclab, caplog, tmp_path):
    caplog.set_level("INFO")
    config = load_config("isaaclab", ["env.task=Isaac-Point-Mass-Blind-v0", "device=cpu", "loggers=[]", "iterations=1"])
    policy = config.policy.config
    assert policy.actor.network.config.groups == policy.critic.network.config.groups == ("policy",)
    (rnd,) = config.algorithm.config.extensions
    assert (rnd.config.groups, rnd.config.weight) == (("policy",), pytest.approx(2.0 * 0.04))  # of a step of two frames
    assert "'obs_groups' is empty, and observation sets are made of the groups that the env has" in caplog.text
    assert train(config, log_root=tmp_path, quiet=True).iteration == 1


@pytest.mark.parametrize(("state_space", "groups"), [(0, ["policy"]), (8, ["policy", "critic"])])
def test_groups_of_a_direct_task(state_space, groups):
    assert observation_groups(SimpleNamespace(state_space=state_space)) == groups


def test_recipe_hands_old_settings_to_isaac_lab_first(isaaclab, monkeypatch):
    load_config("isaaclab", [f"env.task={TASK}", "device=cpu"])
    rsl_rl = sys.modules["isaaclab_rl.rsl_rl"]
    seen = []

    def upgrade(settings, version):
        seen.append(version)
        settings.clip_actions = 9.0
        return settings

    rsl_rl.handle_deprecated_rsl_rl_cfg = upgrade
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name} 5")
    config = load_config("isaaclab", [f"env.task={TASK}", "device=cpu"])
    assert seen == ["rsl-rl-lib 5"]
    assert config.env.config.clip_actions == 9.0


def test_task_of_another_name(isaaclab, build):
    assert error_of(build, "Isaac-Point-Mess-v0") == (
        f"env.task: Isaac Lab has no task 'Isaac-Point-Mess-v0'; did you mean '{TASK}'?"
    )
    assert error_of(build, "CartPole-v1").startswith("env.task: Isaac Lab has no task 'CartPole-v1'")
    assert error_of(load_config, "isaaclab", ["env.task=Isaac-Point-Mess-v0", "device=cpu"]) == (
        f"env.task: Isaac Lab has no task 'Isaac-Point-Mess-v0'; did you mean '{TASK}'?"
    )


def test_task_of_a_module(isaaclab, build, tmp_path, monkeypatch):
    (tmp_path / "my_isaac_tasks.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert build(f"my_isaac_tasks:{TASK}").spec.num_envs == 12
    assert error_of(build, f"no_such_tasks:{TASK}") == (
        f"env.task: 'no_such_tasks:{TASK}': No module named 'no_such_tasks'; install the package that brings the task, "
        "or put its folder on PYTHONPATH"
    )


def test_changes_of_what_is_not_there(isaaclab, build):
    message = error_of(build, changes={"sim.dT": 0.1, "episode_length": 3})
    assert message == (
        "2 problems:\n"
        "  env.changes.sim.dT: the task's configuration has no 'sim.dT' (there are: 'device', 'dt')\n"
        "  env.changes.episode_length: the task's configuration has no 'episode_length'; did you mean "
        "'episode_length_s'? (there are: 'compute_final_obs', 'decimation', 'episode_length_s', "
        "'is_finite_horizon', 'observations', 'scene', 'seed', 'sim')"
    )


def test_recipe_without_a_task(isaaclab):
    assert error_of(load_config, "isaaclab") == "env.task: name a task, as in env.task=Isaac-Cartpole-v0"


def test_recipe_of_a_task_without_such_settings(isaaclab):
    overrides = [f"env.task={TASK}", "env.agent=rsl_rl_distillation_cfg_entry_point", "device=cpu"]
    assert error_of(load_config, "isaaclab", overrides) == (
        f"env.agent: task '{TASK}' has no settings 'rsl_rl_distillation_cfg_entry_point'; did you mean "
        "'rsl_rl_cfg_entry_point'? (it has: 'rsl_rl_cfg_entry_point', 'skrl_cfg_entry_point')"
    )


@pytest.mark.parametrize("what", ["env", "recipe"])
def test_isaac_lab_that_is_not_installed(build, what):
    message = (
        "env 'isaaclab' needs Isaac Lab, which no extra of rslcore brings: install it with Isaac Sim as its "
        "documentation says (https://isaac-sim.github.io/IsaacLab), then type `pip install rslcore` in its environment "
        "(No module named 'isaaclab')"
    )
    call = build if what == "env" else (lambda: load_config("isaaclab", [f"env.task={TASK}", "device=cpu"]))
    assert error_of(call) == message
