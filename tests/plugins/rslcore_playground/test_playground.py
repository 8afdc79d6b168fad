"""MuJoCo Playground's tasks, with what stands in for it; and what is said without it."""

from __future__ import annotations

import contextlib
import re

import pytest
import torch

from rslcore.config import EnvComponent, load_config
from rslcore.context import Context
from rslcore.errors import ConfigError, MissingExtraError
from rslcore.registry import default_registry
from rslcore.training import train
from rslcore_playground.config import PlaygroundConfig

TASKS = "(tasks: 'PointMass', 'PointMassBlind', 'PointMassByHand')"


@pytest.fixture
def build():
    """Makes the env of a task."""
    with contextlib.ExitStack() as stack:

        def make(task="PointMass", **options):
            context = Context(default_registry(), None, torch.device("cpu"), 7, 8)
            env = context.build(EnvComponent("playground", PlaygroundConfig(task=task, **options)), "env")
            return stack.enter_context(contextlib.closing(env))

        yield make


def error_of(call, *arguments, **options):
    with pytest.raises((ConfigError, MissingExtraError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_env_is_made_by_playground(playground, build):
    env = build(num_envs=3, changes={"episode_length": 20, "noise": {"level": 0.5}})
    assert (env.env.seed, env.spec.num_envs, env.spec.max_episode_length) == (7, 3, 20)
    assert env.env.env.config.noise.level == 0.5
    assert env.env.randomization_fn == "randomizer of PointMass"
    assert {"state", "privileged_state"} <= set(env.spec.observations)


def test_env_that_is_not_randomized(playground, build):
    assert build(num_envs=3, randomize=False).env.randomization_fn is None


def test_task_of_another_name(playground, build):
    message = f"env.task: Playground has no task 'PointMess'; did you mean 'PointMass'? {TASKS}"
    assert error_of(build, "PointMess") == message
    assert error_of(load_config, "playground", ["env.task=PointMess"]) == message


def test_changes_of_what_is_not_there(playground, build):
    message = "env.changes: the task's configuration does not take them (KeyError: 'Key \"episode_len\" cannot be set')"
    assert error_of(build, changes={"episode_len": 3}) == message


def test_recipe_without_a_task(playground):
    assert error_of(load_config, "playground") == "env.task: name a task, as in env.task=CartpoleBalance"


@pytest.mark.parametrize(
    ("task", "group", "width"),
    [
        ("PointMass", "privileged_state", 32),
        ("PointMassBlind", "state", 32),
        ("PointMassByHand", "privileged_state", 16),
    ],
)
def test_recipe_takes_the_agents_own_settings(playground, tmp_path, task, group, width):
    overrides = [f"env.task={task}", "env.num_envs=4", "iterations=1", "device=cpu", "loggers=[]"]
    config = load_config("playground", overrides)
    policy = config.policy.config
    assert policy.actor.network.config.groups == ("state",)
    assert policy.critic.network.config.groups == (group,)
    assert policy.actor.network.config.hidden_dims == (width,)
    assert config.algorithm.config.schedule == "fixed"
    assert train(config, log_root=tmp_path, quiet=True).iteration == 1


@pytest.mark.parametrize("what", ["env", "recipe"])
def test_playground_that_is_not_installed(build, what):
    call = build if what == "env" else lambda: load_config("playground", ["env.task=CartpoleBalance"])
    message = (
        "env 'playground' needs a package that is not installed; type `pip install 'rslcore[playground]'` "
        "(No module named 'mujoco_playground')"
    )
    with pytest.raises(MissingExtraError, match=f"^{re.escape(message)}$"):
        call()
