"""`vec_env` from a config: the function that makes the env, found and called."""

from __future__ import annotations

import re
import sys

import pytest
import stand_ins
import torch

from rslcore.config import EnvComponent, ExperimentConfig, structure
from rslcore.context import Context
from rslcore.errors import ConfigError, EnvError
from rslcore.registry import default_registry
from rslcore_rsl_rl.config import VecEnvConfig

SEEN = {}


def only_names(num_envs, *, episode_length=7):
    return stand_ins.playground(num_envs, "cpu", 3, episode_length)


def anything(**options):
    SEEN.update(options)
    return stand_ins.playground(options["num_envs"], options["device"], options["seed"])


def nothing():
    return stand_ins.playground(5, "cpu", 3)


def fails(num_envs):
    raise ValueError("no licence")


def wrong(num_envs):
    return object()


NUMBER = 3


@pytest.fixture
def build(small_config, monkeypatch):
    """Makes the env of a config, by a function of this module."""
    monkeypatch.setitem(sys.modules, "factories", sys.modules[__name__])
    monkeypatch.setattr("rslcore_rsl_rl.functions.find_target_fault", lambda target: None)

    def make(name, **options):
        config = VecEnvConfig(factory=f"factories:{name}", **{"num_envs": 2, **options})
        context = Context(default_registry(), small_config(), torch.device("cpu"), 11, 8)
        return context.build(EnvComponent("vec_env", config), "env")

    return make


def error_of(build, *arguments, **options):
    with pytest.raises((ConfigError, EnvError)) as caught:
        build(*arguments, **options)
    return str(caught.value)


def test_factory_is_given_what_it_takes(build):
    env = build("only_names")
    assert (env.spec.num_envs, env.env.seed, env.spec.max_episode_length) == (2, 3, 7)
    assert build("only_names", kwargs={"episode_length": 9}).spec.max_episode_length == 9
    assert build("anything").env.seed == 11
    assert SEEN == {"num_envs": 2, "device": "cpu", "seed": 11}
    assert build("anything", kwargs={"seed": 4}).env.seed == 4


def test_factory_that_takes_other_arguments(build):
    assert error_of(build, "only_names", kwargs={"episode_lenght": 9, "x": 1}) == (
        "2 problems:\n"
        "  env.kwargs.episode_lenght: 'factories:only_names' takes no 'episode_lenght'; did you mean 'episode_length'?"
        "\n"
        "  env.kwargs.x: 'factories:only_names' takes no 'x'"
    )


def test_factory_that_needs_more():
    config = VecEnvConfig(factory="stand_ins:GenesisEnv", num_envs=2)
    context = Context(default_registry(), None, torch.device("cpu"), 1, 8)
    with pytest.raises(ConfigError, match="^env.kwargs: 'stand_ins:GenesisEnv' needs 'env_cfg', which is not given$"):
        context.build(EnvComponent("vec_env", config), "env")


def test_class_as_factory():
    config = VecEnvConfig(
        factory="stand_ins:GenesisEnv", num_envs=2, kwargs={"env_cfg": {"episode_length_s": 0.2}}, final_obs=False
    )
    context = Context(default_registry(), None, torch.device("cpu"), 1, 8)
    assert context.build(EnvComponent("vec_env", config), "env").spec.max_episode_length == 10


def test_factory_that_makes_another_number_of_envs(build):
    assert error_of(build, "nothing") == (
        "env.num_envs: 'factories:nothing' made 5 envs 'PlaygroundWrapper', the config says 2; give the same number, "
        "or let the function take num_envs"
    )
    assert build("nothing", num_envs=5).spec.num_envs == 5


def test_factory_that_fails(build):
    message = error_of(build, "fails")
    assert message.startswith("env.factory: 'factories:fails' cannot make the env: ValueError: no licence (")
    assert re.search(r"test_make\.py:\d+\)$", message)


def test_factory_that_makes_something_else(build):
    assert error_of(build, "wrong").startswith("env 'object' is no env of rsl_rl's kind:\n  it has no `num_envs`")


def test_factory_that_is_no_function(build):
    assert error_of(build, "NUMBER") == "env.factory: 'factories:NUMBER' is no function but int"


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            None,
            "env.factory: no function makes the env: that of a run whose env a script handed over is known to the "
            "script alone; write a function that returns the env, and name it as in env.factory=my_lab.envs:make",
        ),
        ("stand_ins", "env.factory: 'stand_ins' is not of the form 'module:attribute'"),
        ("stand_ins:mjlap", "env.factory: 'stand_ins:mjlap': module 'stand_ins' has no 'mjlap'; did you mean 'mjlab'?"),
        (
            "no_such_lab:make",
            "env.factory: 'no_such_lab:make': there is no module 'no_such_lab'; install the package that has it, or "
            "put its folder on PYTHONPATH",
        ),
    ],
)
def test_factory_that_is_not_there(factory, message):
    context = Context(default_registry(), None, torch.device("cpu"), 1, 8)
    with pytest.raises(ConfigError) as caught:
        context.build(EnvComponent("vec_env", VecEnvConfig(factory=factory)), "env")
    assert str(caught.value) == message


def test_factory_in_a_module_that_fails(tmp_path, monkeypatch):
    (tmp_path / "broken_lab.py").write_text("make = 1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    context = Context(default_registry(), None, torch.device("cpu"), 1, 8)
    with pytest.raises(ConfigError) as caught:
        context.build(EnvComponent("vec_env", VecEnvConfig(factory="broken_lab:make")), "env")
    assert str(caught.value) == ("env.factory: 'broken_lab:make' does not import: ZeroDivisionError: division by zero")


def test_config_is_refused_with_its_place():
    data = {"env": {"name": "vec_env", "num_envs": 0, "kwarg": {}}}
    with pytest.raises(ConfigError) as caught:
        structure(data, ExperimentConfig, default_registry())
    paths = [problem.path for problem in caught.value.problems]
    assert {"env.num_envs", "env.kwarg"} <= set(paths)
