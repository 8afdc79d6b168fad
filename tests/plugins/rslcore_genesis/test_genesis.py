"""Envs over Genesis, with what stands in for Genesis; and what is said without it."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys

import pytest
import torch

from rslcore import evaluate
from rslcore.config import EnvComponent, load_config
from rslcore.context import Context
from rslcore.errors import ConfigError, DeviceError, EnvError, MissingExtraError, RslcoreError
from rslcore.registry import default_registry
from rslcore.training import train
from rslcore_genesis.config import GenesisConfig
from rslcore_genesis.simulator import initialise

POINT = {"factory": "point_env:PointEnv", "cfgs": "point_train:get_cfgs"}
REACH = {"factory": "point_env:ReachEnv", "cfgs": "reach_train:get_task_cfgs"}
SMALL = ["env.num_envs=4", "device=cpu", "loggers=[]"]


@pytest.fixture
def build():
    """Makes the env of a class."""
    with contextlib.ExitStack() as stack:

        def make(device="cpu", num_envs=3, seed=7, **options):
            context = Context(default_registry(), None, torch.device(device), seed, 8)
            config = GenesisConfig(num_envs=num_envs, **options)
            return stack.enter_context(contextlib.closing(context.build(EnvComponent("genesis", config), "env")))

        yield make


def named(options):
    return [f"env.{key}={value}" for key, value in options.items()]


def error_of(call, *arguments, **options):
    with pytest.raises(RslcoreError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def initialised():
    return sys.modules["genesis"].INITIALISED


def test_env_is_made_of_the_class_and_its_configs(genesis, build):
    env = build(**POINT)
    assert type(env.env).__name__ == "PointEnv"
    assert (env.spec.num_envs, env.spec.max_episode_length) == (3, 40)
    assert env.spec.actions.names == ("x", "y")
    assert (env.env.obs_cfg, env.env.command_cfg) == ({"obs_scales": {"position": 1.0}}, {"num_commands": 3})
    assert not env.env.scene.show_viewer


def test_configs_are_each_envs_own(genesis, build):
    for _ in range(2):  # the class scales them where they are
        assert build(**POINT).env.reward_cfg == {"reward_scales": {"near": 0.02, "smooth": -0.01}}


def test_configs_are_changed(genesis, build):
    changes = {"env_cfg.episode_length_s": 0.2, "reward_cfg": {"reward_scales": {"near": 3.0}}}
    env = build(**POINT, changes=changes, kwargs={"show_viewer": True})
    assert env.spec.max_episode_length == 10
    assert env.env.reward_cfg["reward_scales"] == {"near": pytest.approx(0.06), "smooth": -0.01}
    assert env.env.scene.show_viewer


def test_changes_of_what_is_not_there(genesis, build):
    assert error_of(build, **POINT, changes={"env_cfg.episode_length": 1.0, "reward": {}}) == (
        "2 problems:\n"
        "  env.changes.env_cfg.episode_length: the task's configuration has no 'env_cfg.episode_length'; did you mean "
        "'episode_length_s'? (there are: 'episode_length_s', 'joint_names', 'num_actions')\n"
        "  env.changes.reward: the task's configuration has no 'reward'; did you mean 'reward_cfg'? (there are: "
        "'command_cfg', 'env_cfg', 'obs_cfg', 'reward_cfg')"
    )


def test_number_of_envs_that_a_config_has(genesis, build):
    assert build(**REACH).spec.num_envs == 3


@pytest.mark.parametrize(
    ("cfgs", "obs_cfg"), [("get_env_cfg", None), ("get_two_cfgs", {"obs_scales": {"position": 1.0}})]
)
def test_class_takes_configs_that_it_does_not_need(genesis, build, cfgs, obs_cfg):
    env = build(factory="point_env:PlainEnv", cfgs=f"point_train:{cfgs}")
    assert (env.env.obs_cfg, env.env.reward_cfg) == (obs_cfg, {"reward_scales": {}})
    assert not env.env.scene.show_viewer


def test_function_that_makes_the_env(genesis, build):
    env = build(factory="point_env:make_point", kwargs={"length_s": 0.2})
    assert (env.spec.max_episode_length, env.env.cfg["seed"]) == (10, 7)


def test_genesis_is_initialised_once_a_process(genesis, build, caplog):
    for init in ({}, {"performance_mode": False, "logging_level": "warning"}):
        build(**POINT, init=init)
    assert not caplog.messages
    build(**POINT, init={"performance_mode": True, "logging_level": "info"})
    assert initialised() == [{"backend": "cpu", "logging_level": "warning", "performance_mode": False}]
    assert caplog.messages == [
        "env.init: Genesis runs in this process already and is not initialised again, and options stay as they were: "
        "'logging_level', 'performance_mode'; start a process of its own to change them"
    ]


def test_genesis_that_the_users_code_has_initialised(genesis, build, caplog):
    genesis = importlib.import_module("genesis")
    genesis.init(backend=genesis.cpu, seed=1)
    build(**POINT)
    assert not caplog.messages
    build(**POINT, init={"performance_mode": True})
    assert caplog.messages == [
        "env.init: Genesis runs in this process already and is not initialised again, and options stay as they were: "
        "'performance_mode'; start a process of its own to change them"
    ]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            "cpu",
            "cuda:0",
            "device: Genesis runs on the CPU in this process, and not on 'cuda:0' as well; start a process of its own "
            "for 'cuda:0', or type device=cpu",
        ),
        (
            "cuda:0",
            "cpu",
            "device: Genesis runs on the GPU in this process, and not on 'cpu' as well; start a process of its own for "
            "'cpu', or type device=cuda",
        ),
    ],
)
def test_genesis_that_runs_on_another_device(genesis, first, second, message):
    initialise(torch.device(first), 7, {}, "env.init")
    with pytest.raises(DeviceError, match=f"^{re.escape(message)}$"):
        initialise(torch.device(second), 7, {}, "env.init")


def test_genesis_is_initialised_as_asked(genesis, build):
    build(**POINT, init={"performance_mode": True, "logging_level": "info"})
    assert initialised() == [{"backend": "cpu", "logging_level": "info", "performance_mode": True}]


def test_genesis_takes_the_gpu_of_the_run(genesis):
    initialise(torch.device("cuda:0"), 7, {}, "env.init")
    assert initialised()[0]["backend"] == "gpu"


def test_gpu_that_is_not_the_first(genesis, build):
    message = (
        "device: Genesis runs on the first GPU that a process sees, not on 'cuda:1'; type `CUDA_VISIBLE_DEVICES=1 "
        "rslcore ... device=cuda`"
    )
    with pytest.raises(DeviceError, match=f"^{re.escape(message)}$"):
        build("cuda:1", **POINT)


def test_envs_are_seeded_though_genesis_runs_already(genesis, build):
    first, second, other = (build(**POINT, seed=seed).reset()["policy"] for seed in (7, 7, 8))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_init_that_genesis_does_not_take(genesis, build):
    assert error_of(build, **POINT, init={"logging_levle": "info", "seed": 3}) == (
        "2 problems:\n"
        "  env.init.logging_levle: `gs.init` takes no 'logging_levle' beside the run's own backend and seed; did you "
        "mean 'logging_level'?\n"
        "  env.init.seed: `gs.init` takes no 'seed' beside the run's own backend and seed"
    )
    with pytest.raises(EnvError) as caught:
        build(**POINT, init={"precision": 16})
    assert str(caught.value) == (
        "env.init: Genesis cannot be initialised: GenesisException: Unsupported precision type: 16"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"factory": "point_env:PointEnv"},
            "env.cfgs: 'point_env:PointEnv' needs 'env_cfg', 'obs_cfg', 'reward_cfg', 'command_cfg'; name the function "
            "that gives them in this order, as in env.cfgs=go2_train:get_cfgs",
        ),
        (
            {**POINT, "factory": "point_env:ReachEnv"},
            "env.cfgs: 'point_train:get_cfgs' gives 4 configs, and 'point_env:ReachEnv' takes 'env_cfg', 'reward_cfg', "
            "'robot_cfg'; name another function",
        ),
        (
            {"factory": "point_env:PointEnv", "cfgs": "point_train:get_env_cfg"},
            "env.cfgs: 'point_train:get_env_cfg' gives 1 config, and 'point_env:PointEnv' needs 'env_cfg', 'obs_cfg', "
            "'reward_cfg', 'command_cfg'; name another function, or give the rest by kwargs",
        ),
        (
            {**POINT, "factory": "point_env:PlainEnv"},
            "env.cfgs: 'point_train:get_cfgs' gives 4 configs, and 'point_env:PlainEnv' takes 'env_cfg', 'obs_cfg', "
            "'reward_cfg'; name another function",
        ),
        (
            {**POINT, "factory": "point_env:CloseEnv"},
            "env.cfgs: 'point_train:get_cfgs' gives 4 configs, and 'point_env:CloseEnv' names none of what it takes; "
            "name as env.factory a function of your own that makes the env and has a parameter for each config, as "
            "`def make(num_envs, env_cfg, obs_cfg)`",
        ),
        (
            {"factory": "point_env:PlainEnv", "cfgs": "point_train:get_live_cfgs"},
            "env.cfgs: 'point_train:get_live_cfgs' gives 'obs_cfg' with something in it that cannot be copied (cannot "
            "pickle 'generator' object); give plain data, and make the rest of it in the class",
        ),
        (
            {**POINT, "factory": "point_envs:PointEnv"},
            "env.factory: 'point_envs:PointEnv': there is no module 'point_envs'; install the package that has it, or "
            "put its folder on PYTHONPATH",
        ),
        (
            {**POINT, "cfgs": "point_train:get_cfg"},
            "env.cfgs: 'point_train:get_cfg': module 'point_train' has no 'get_cfg'; did you mean 'get_cfgs'?",
        ),
        (
            {**POINT, "kwargs": {"viewer": True}},
            "env.kwargs.viewer: 'point_env:PointEnv' takes no 'viewer'; did you mean 'show_viewer'?",
        ),
    ],
)
def test_class_and_configs_that_do_not_go_together(genesis, build, options, message):
    with pytest.raises(ConfigError) as caught:
        build(**options)
    assert str(caught.value) == message


def test_function_for_configs_that_fails(genesis, build):
    message = error_of(build, **{**POINT, "cfgs": "point_train:get_old_cfgs"})
    assert message.startswith("env.cfgs: 'point_train:get_old_cfgs' fails: RuntimeError: no such robot (")


def test_recipe_takes_the_agents_own_settings(genesis):
    config = load_config("genesis", [*named(POINT), *SMALL, "env.changes.env_cfg.episode_length_s=0.2"])
    assert config.env.config == GenesisConfig(**POINT, num_envs=4, changes={"env_cfg": {"episode_length_s": 0.2}})
    assert (config.experiment, config.iterations) == ("PointEnv", 1000)
    assert config.runner.config.num_steps_per_env == 12
    assert config.runner.config.init_at_random_ep_len
    assert config.policy.config.actor.network.config.groups == ("policy",)
    assert config.policy.config.actor.network.config.hidden_dims == (32,)
    assert config.algorithm.config.learning_rate == 0.002


def test_recipe_takes_settings_of_an_older_rsl_rl(genesis):
    config = load_config("genesis", [*named(REACH), *SMALL, "iterations=5", "experiment=reach"])
    assert (config.experiment, config.iterations, config.seed) == ("reach", 5, 3)
    policy = config.policy.config
    assert policy.critic.network.config.hidden_dims == (16,)


def test_groups_that_the_settings_name(genesis, caplog):
    config = load_config("genesis", [*named(POINT), "env.agent=point_train:get_asymmetric_cfg"])
    policy = config.policy.config
    assert policy.actor.network.config.groups == ("policy",)
    assert policy.critic.network.config.groups == ("policy", "critic")
    assert not caplog.messages


def test_groups_that_the_settings_do_not_name_are_said_to_be_a_guess(genesis, caplog):
    policy = load_config("genesis", [*named(REACH), *SMALL]).policy.config
    assert policy.actor.network.config.groups == ("policy",)
    assert policy.critic.network.config.groups == ("critic",)
    assert caplog.messages == [
        "the task's settings for rsl_rl: policy.critic.network.groups: ['critic'] is a guess, since "
        "'obs_groups.critic' is missing; if the env has no group 'critic', write "
        "`policy.critic.network.groups=[policy]`, which rsl_rl takes then"
    ]


def test_recipe_takes_settings_from_elsewhere(genesis):
    agent = "env.agent=reach_train:get_train_cfg"
    config = load_config("genesis", ["env.factory=point_env:make_point", agent])
    assert config.runner.config.num_steps_per_env == 8
    assert config.env.config == GenesisConfig(factory="point_env:make_point", agent="reach_train:get_train_cfg")


@pytest.mark.parametrize(
    ("overrides", "experiment", "iterations"),
    [([], "short", 300), (["iterations=5"], "short", 5), (["experiment=walk"], "walk", 300)],
)
def test_settings_that_have_defaults_of_their_own(genesis, overrides, experiment, iterations):
    config = load_config("genesis", [*named(POINT), "env.agent=point_train:get_short_cfg", *overrides])
    assert (config.experiment, config.iterations) == (experiment, iterations)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "env.factory: name the class of the env, as in env.factory=go2_env:Go2Env"),
        (
            ["env.factory=point_env:Point"],
            "env.factory: 'point_env:Point': module 'point_env' has no 'Point'; did you mean 'PointEnv'?",
        ),
        (
            ["env.factory=point_env:PointEnv"],
            "env.agent: module 'point_env' has no `get_train_cfg`, as Genesis calls what gives the settings for "
            "rsl_rl; name the function, as in env.agent=go2_train:get_train_cfg, or another of its module, as in "
            "env.cfgs=go2_train:get_cfgs; or write a config of your own with the env 'genesis'",
        ),
        (
            [*named(POINT), "env.agent=point_train:get_arguments"],
            "env.agent: 'point_train:get_arguments' needs 'args', which is not given",
        ),
        (
            [*named(POINT), "env.agent=point_train:get_nothing"],
            "env.agent: 'point_train:get_nothing' gives NoneType, and should give a dict for rsl_rl's runner",
        ),
    ],
)
def test_recipe_that_lacks_something(genesis, overrides, message):
    with pytest.raises(ConfigError) as caught:
        load_config("genesis", overrides)
    assert str(caught.value) == message


@pytest.mark.parametrize(("options", "more"), [(POINT, []), (REACH, ["policy.critic.network.groups=[policy]"])])
def test_recipe_trains_and_the_run_is_evaluated_and_resumed(genesis, tmp_path, options, more):
    overrides = [*named(options), *SMALL, *more, "env.changes.env_cfg.episode_length_s=0.2"]
    run = train(load_config("genesis", [*overrides, "iterations=1"]), log_root=tmp_path, quiet=True)
    assert len(evaluate(run.path, episodes=4).returns) == 4
    again = train(load_config("genesis", [*overrides, "iterations=2"]), resume=run.path, quiet=True)
    assert (again.path, again.iteration) == (run.path, 2)
    assert len(initialised()) == 1


@pytest.mark.parametrize("what", ["env", "recipe"])
def test_genesis_that_is_not_installed(build, what):
    factory = POINT["factory"]
    call = (lambda: build(**POINT)) if what == "env" else lambda: load_config("genesis", [f"env.factory={factory}"])
    message = (
        "env 'genesis' needs a package that is not installed; type `pip install 'rslcore[genesis]'` "
        "(No module named 'genesis')"
    )
    with pytest.raises(MissingExtraError, match=f"^{re.escape(message)}$"):
        call()
