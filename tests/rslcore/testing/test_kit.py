"""The fakes, the registries of tests, and the fixtures that every test suite gets."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest
import torch

import rslcore_loggers.plugin
import rslcore_rnd.plugin
from rslcore.config import ExperimentConfig, structure
from rslcore.errors import EnvError, PluginError, UnknownNameError
from rslcore.registry import Registry
from rslcore.testing import build_registry, count_host_reads, make_context, make_observations, make_spec
from rslcore.testing.values import copied, difference, find_impure

pytest_plugins = ["pytester"]

EXPERIMENT = {
    "device": "cpu",
    "runner": {"name": "on_policy", "num_steps_per_env": 4},
    "policy": {
        "name": "actor_critic",
        "actor": {"network": {"name": "mlp"}, "distribution": {"name": "gaussian"}},
        "critic": {"network": {"name": "mlp"}},
    },
    "algorithm": {"name": "ppo"},
    "storage": {"name": "rollout"},
}


@pytest.fixture
def make_env():
    """The fake env with options."""
    from rslcore.testing import installed_registry

    registry = installed_registry()

    def make(**options):
        data = {**EXPERIMENT, "env": {"name": "fake", **options}}
        return make_context(structure(data, ExperimentConfig, registry), registry).env

    return make


def test_build_registry_discovers_nothing_by_itself(rslcore_registry):
    registry = rslcore_registry(rslcore_rnd.plugin)
    assert [entry.name for entry in registry.entries("extension")] == ["fake", "rnd"]
    assert registry.entries("algorithm") == []
    with pytest.raises(UnknownNameError, match="there is no algorithm 'ppo' "):
        registry.find("algorithm", "ppo")


def test_build_registry_records_the_distribution_that_declares_a_module(rslcore_registry):
    source = rslcore_registry(rslcore_loggers.plugin).find("logger", "console").source
    assert (source.plugin, source.distribution, source.module) == ("loggers", "rslcore", "rslcore_loggers.plugin")


def test_build_registry_names_a_module_that_is_not_installed_by_its_package():
    import bad_components

    assert str(build_registry(bad_components).find("env", "bad").source) == "bad-components 0"


def test_build_registry_of_no_plugin_says_why():
    with pytest.raises(PluginError, match="^module 'attrs' does not state its API; add `PLUGIN_API = 1`$"):
        build_registry(attrs)


def test_with_fakes_leaves_the_registry_as_it_is():
    from rslcore.testing.registry import with_fakes

    registry = Registry.discover()
    before = len(registry.manager.get_plugins())
    assert with_fakes(registry).find("env", "fake").source.plugin == "testing"
    assert len(registry.manager.get_plugins()) == before


def test_pytest_plugin_imports_neither_torch_nor_plugins():
    code = "import sys, rslcore.testing.pytest_plugin; print({'torch', 'attrs', 'rslcore.registry'} & set(sys.modules))"
    assert "set()" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_pytest_plugin_gives_its_fixture_to_other_suites(pytester):
    pytester.makepyfile(
        """
        def test_it(rslcore_registry):
            assert [entry.name for entry in rslcore_registry().entries("env")] == ["fake"]
        """
    )
    # Where rslcore is installed with its entry point, pytest knows the plugin by that name, and takes it once.
    pytester.runpytest_inprocess("-p", "no:rslcore", "-p", "rslcore.testing.pytest_plugin").assert_outcomes(passed=1)


@pytest.mark.parametrize("actions", ["continuous", "bounded", "discrete", "multi_discrete"])
def test_fake_env_is_what_make_spec_says(make_env, actions):
    env = make_env(actions=actions, num_envs=3)
    assert env.spec == make_spec(actions=actions, num_envs=3)
    assert env.spec.actions.is_discrete == ("discrete" in actions)


def test_fake_env_ends_episodes_as_its_options_say(make_env):
    env = make_env(num_envs=2, episode_lengths=[2, 3], endings=["terminated", "truncated"])
    env.reset()
    steps = [env.step(torch.zeros(2, 2)) for _ in range(5)]
    assert [step.terminated.tolist() for step in steps] == [
        [False, False],
        [True, False],
        [False, False],
        [False, False],
        [False, True],
    ]
    assert [step.truncated.tolist() for step in steps][2:] == [[False, True], [False, False], [True, False]]
    assert [step.final_obs is None for step in steps] == [True, False, False, True, False]


def test_fake_env_next_step_marks_the_step_that_resets(make_env):
    env = make_env(num_envs=2, episode_lengths=[2, 3], autoreset="next_step")
    env.reset()
    steps = [env.step(torch.zeros(2, 2)) for _ in range(4)]
    assert [None if step.valid is None else step.valid.tolist() for step in steps] == [
        None,
        None,
        [False, True],
        [True, False],
    ]
    assert steps[2].rewards[0] == 0.0


def test_fake_env_reads_nothing_on_the_host(make_env):
    env = make_env()
    env.reset()
    assert count_host_reads(lambda: env.step(torch.zeros(4, 2))) == 0


@pytest.mark.parametrize("actions", [torch.zeros(4, 1), torch.zeros(4, 2, dtype=torch.int64)])
def test_fake_env_other_actions_are_refused(make_env, actions):
    with pytest.raises(EnvError, match=r"^actions should be \[4, 2\] torch.float32, they are \[4, "):
        make_env().step(actions)


def test_make_observations_draws_nothing_from_torchs_own_stream():
    before = torch.get_rng_state()
    obs = make_observations(make_spec(groups={"policy": (2,), "camera": (1, 4, 4)}), 3, torch.device("cpu"))
    assert torch.equal(before, torch.get_rng_state())
    assert {name: tuple(group.shape) for name, group in obs.items()} == {"policy": (3, 2), "camera": (3, 1, 4, 4)}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"b": 1}, "the value has the keys ['a'] and ['b']"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1] is 2 and 3"),
        ({"a": [1, 2]}, {"a": [1]}, "a has 2 and 1 items"),
        (torch.zeros(2), torch.zeros(3), "the value is [2] float32 and [3] float32"),
        (torch.zeros(2), torch.tensor([0.0, 0.5]), "the value differs by up to 0.5"),
        (torch.tensor(torch.nan), torch.tensor(torch.nan), None),
        (True, 1, "the value is True and 1"),
    ],
)
def test_difference_says_where(first, second, said):
    assert difference(first, second) == said


def test_copied_is_apart_from_the_original():
    original = {"a": [torch.zeros(2)]}
    copy = copied(original)
    original["a"][0].add_(1.0)
    assert copy["a"][0].tolist() == [0.0, 0.0]


def test_find_impure_says_where():
    assert find_impure({"a": [1, 2.0, None, "b", torch.zeros(1), (True,)]}) is None
    assert find_impure({"a": [{"b": torch.device("cpu")}]}) == "a[0].b is a device"
