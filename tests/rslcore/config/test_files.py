"""Recipes, files and overrides."""

from __future__ import annotations

import re
import subprocess
import sys

import attrs
import pytest

from rslcore.config import dump_yaml, evolve, load_config
from rslcore.errors import ConfigError, UnknownNameError
from rslcore.registry import default_registry


def error_of(source, *overrides):
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)
    return str(caught.value)


# Those that are computed need to be told of a task: tests/plugins/test_recipes.py.
RECIPES = [recipe.name for recipe in default_registry().recipes() if recipe.file]


@pytest.mark.parametrize("recipe", RECIPES)
def test_load_every_recipe_and_read_back_what_is_dumped(recipe, tmp_path):
    config = load_config(recipe)
    (tmp_path / "config.yaml").write_text(dump_yaml(config))
    assert load_config(tmp_path / "config.yaml") == config


def test_load_overrides_set_numbers_lists_mappings_and_items():
    config = load_config(
        "cartpole",
        [
            "algorithm.learning_rate=1e-4",
            "policy.actor.network.hidden_dims=[32,16]",
            "env.kwargs={sutton_barto_reward: true}",
            "loggers[0].line_interval=1",
            "experiment=other",
        ],
    )
    assert config.algorithm.config.learning_rate == 1e-4
    assert config.policy.config.actor.network.config.hidden_dims == (32, 16)
    assert config.env.config.kwargs == {"sutton_barto_reward": True}
    assert config.loggers[0].config.line_interval == 1.0
    assert config.experiment == "other"


@pytest.mark.parametrize("text", ["fake_version: 1\n", "fake_version: 1\nwidth: !!python/tuple [1]\n"])
def test_load_another_programs_file_says_what_the_plugin_says_that_knows_it(text, install, tmp_path):
    registry = install("fake-tools")
    file = tmp_path / "other.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, ["seed=x"], registry)
    assert str(caught.value) == f"'{file}' is a config of fake; type `rslcore fake-greet robot`"
    file.write_text("width: !!python/tuple [1]\n")
    with pytest.raises(ConfigError, match="is not valid YAML: line 1, column 8: could not determine a constructor"):
        load_config(file, registry=registry)


def test_load_resolves_interpolation():
    assert load_config("cartpole", ["runner.save_interval=${iterations}"]).runner.config.save_interval == 75


def test_load_unknown_recipe_gives_the_nearest():
    message = (
        "there is no recipe 'cartpol'; did you mean 'cartpole'? (installed: 'cartpole', 'cartpole_memory', 'genesis', "
        "'halfcheetah', 'halfcheetah_amp', 'halfcheetah_multi_discrete', 'halfcheetah_sac', 'isaaclab', 'mjlab', "
        "'pendulum', 'pendulum_estimator', 'pendulum_student', 'pendulum_teacher', 'playground'); a config of your own "
        "is given as FILE.yaml"
    )
    with pytest.raises(UnknownNameError, match=f"^{re.escape(message)}$"):
        load_config("cartpol")


def test_load_missing_file_gives_the_nearest(tmp_path):
    (tmp_path / "walk.yaml").touch()
    path = tmp_path / "wlak.yaml"
    assert error_of(path) == f"there is no file '{path}'; did you mean 'walk.yaml'?"
    path = tmp_path / "nope.yaml"  # near by its ending alone
    assert error_of(path) == f"there is no file '{path}'"


def test_load_folder_as_file_is_one_error(tmp_path):
    path = tmp_path / "folder.yaml"
    path.mkdir()
    assert error_of(path) == f"'{path}' cannot be read: Is a directory"


def test_load_binary_file_is_one_error(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert error_of(path) == f"'{path}' cannot be read: it is not UTF-8 text"


def test_load_malformed_yaml_says_where(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("seed: [1\niterations: 3\n")
    assert error_of(path).startswith(f"'{path}' is not valid YAML: ")
    assert "line 2, column 1" in error_of(path)


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "import os\n", "3"])
def test_load_yaml_that_is_no_mapping_is_no_config(text, tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text(text)
    message = f"'{path}' is no config: it should be a mapping with keys among 'algorithm', 'best_is', "
    assert error_of(path).startswith(message)


@pytest.mark.parametrize("text", ["", "\n", "# seed: 1\n"])
def test_load_empty_file_says_so(text, tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text(text)
    advice = "`rslcore describe recipe cartpole` prints a config to begin with"
    assert error_of(path, "seed=2") == f"'{path}' is empty; {advice}"


def test_load_mapping_without_keys_lists_what_is_missing(tmp_path):
    path = tmp_path / "bare.yaml"
    path.write_text("{}")
    lines = error_of(path).splitlines()
    assert lines[0] == f"5 problems in {path}:"
    assert lines[1] == "  env: is missing and has no default"


def test_load_override_that_the_shell_has_cut_asks_for_quotes():
    assert error_of("cartpole", "loggers=[{name:", "console}]").splitlines() == [
        "2 problems in cartpole:",
        "  loggers: the override 'loggers=[{name:' cannot be applied: its value is not valid YAML; a bracket is open: "
        "a value with spaces needs quotes, as in 'loggers=[{name: console}]'",
        "  the override 'console}]' should be written key=value, as in seed=2",
    ]


@pytest.mark.parametrize("override", ["seed", "=3", "--verbose"])
def test_load_override_without_key_and_value_is_refused(override):
    expected = f"1 problem in cartpole:\n  the override '{override}' should be written key=value, as in seed=2"
    assert error_of("cartpole", override) == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed.deep=3", "seed.deep: the override 'seed.deep=3' cannot be applied: 'seed' is 1, which has no keys"),
        (
            "loggers[7].name=x",
            "loggers[7].name: the override 'loggers[7].name=x' cannot be applied: the list is shorter",
        ),
        ("seed=[1", "seed: the override 'seed=[1' cannot be applied: its value is not valid YAML"),
        ("seed=${nothing}", "seed: Interpolation key 'nothing' not found"),
    ],
)
def test_load_override_that_cannot_be_applied_says_why(override, message):
    assert error_of("cartpole", override).startswith(f"1 problem in cartpole:\n  {message}")


def test_load_unknown_key_in_an_override_names_path_and_nearest():
    assert "algorithm.learning_rat: unknown key; did you mean 'learning_rate'?" in error_of(
        "cartpole", "algorithm.learning_rat=1"
    )


def test_load_component_that_an_override_replaces_leaves_options_behind():
    assert error_of("cartpole", "algorithm.name=distillation", "algorithm.gama=1", "iterations=0").splitlines() == [
        "3 problems in cartpole:",
        "  iterations: 0 is out of range, it must be >= 1",
        "  algorithm: 'distillation' has no options 'entropy_coef', 'gamma', 'schedule', 'shuffle', "
        "'use_clipped_value_loss', which stand there for 'ppo'; to replace it whole, write "
        "algorithm={name: distillation}",
        "  algorithm.gama: unknown key (keys: 'extensions', 'gradient_length', 'learning_rate', 'loss_type', "
        "'max_grad_norm', 'num_learning_epochs', 'optimizer', 'precision', 'teacher_share')",
    ]
    config = load_config("cartpole", ["policy.actor.network.name=lstm"])
    assert config.policy.config.actor.network.config.hidden_dims == (64, 64)  # options that fit stay


@pytest.mark.parametrize(
    ("installed", "disabled", "require", "problem"),
    [
        (["fake-good"], (), "fake_good>=1", None),
        (
            ["fake-good"],
            ("fake_good",),
            "fake_good>=1",
            "plugins.require[0]: 'fake_good>=1' is installed and cannot be used; plugin 'fake_good' is left out by "
            "`--no-plugin fake_good`; take that away",
        ),
        (
            ["fake-raises"],
            (),
            "fake-raises",
            "plugins.require[0]: 'fake-raises' is installed and cannot be used; plugin 'fake_raises' failed to load: "
            "RuntimeError: no licence found",
        ),
        ([], (), "fake-good", "plugins.require[0]: 'fake-good' is not installed; type `pip install 'fake-good'`"),
        (
            ["fake-good"],
            (),
            "fake-good>=2",
            "plugins.require[0]: 'fake-good>=2' is needed and 1.0 is installed; type `pip install 'fake-good>=2'`",
        ),
        ([], (), "??", "plugins.require[0]: '??' is no requirement; write it as 'rslcore-amp>=0.3'"),
    ],
)
def test_load_requirement_that_is_not_met_comes_first(install, installed, disabled, require, problem):
    registry = install(*installed, disabled=disabled)
    overrides = [f"plugins.require=['{require}']"]
    if problem is None:
        load_config("cartpole", overrides, registry)
        return
    with pytest.raises(ConfigError) as caught:
        load_config("cartpole", [*overrides, "algorithm={name: amp}"], registry)
    assert str(caught.value.problems[0]) == problem
    assert caught.value.problems[1].path == "algorithm.name"


def test_load_bad_experiment_name_is_refused():
    assert "experiment: '../up' cannot name a folder; use letters, digits, '_', '-', '.'" in error_of(
        "cartpole", "experiment=../up"
    )


def test_load_problems_of_overrides_and_values_are_told_together():
    assert error_of("cartpole", "seed", "loggers[9].name=x", "iterations=0").splitlines() == [
        "3 problems in cartpole:",
        "  the override 'seed' should be written key=value, as in seed=2",
        "  loggers[9].name: the override 'loggers[9].name=x' cannot be applied: the list is shorter",
        "  iterations: 0 is out of range, it must be >= 1",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loggers=5", "loggers: 5 (int) should be a list"),
        ("env=null", "env: None (NoneType) should be a mapping like {name: ...} that names the env"),
        ("policy.actor=3", "policy.actor: 3 (int) should be a mapping with keys among 'distribution', 'network'"),
        ("env.kwargs=5", "env.kwargs: 5 (int) should be a mapping"),
        ("num_threads=0", "num_threads: 0 is out of range, it must be in [1, 1024]"),
        ("num_threads=all", "num_threads: 'all' (str) should be a whole number"),
    ],
)
def test_load_value_of_another_kind_is_refused(override, message):
    assert error_of("cartpole", override) == f"1 problem in cartpole:\n  {message}"


def test_dump_what_yaml_cannot_hold_is_refused():
    config = load_config("cartpole")
    env = evolve(config.env, config=evolve(config.env.config, kwargs={"space": object}))
    with pytest.raises(ConfigError, match="^the config holds what YAML cannot: <class 'object'>$"):
        dump_yaml(evolve(config, env=env))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (200, "the config could not be read back from YAML: it is nested too deeply"),
        (20_000, "the config is nested too deeply to be written as YAML"),
    ],
)
def test_dump_what_is_nested_beyond_reading_is_refused(levels, message):
    config, nested = load_config("cartpole"), 1
    for _ in range(levels):
        nested = [nested]
    env = evolve(config.env, config=evolve(config.env.config, kwargs={"nested": nested}))
    with pytest.raises(ConfigError, match=f"^{message}$"):
        dump_yaml(evolve(config, env=env))


@pytest.mark.parametrize("value", ["${%s}${%s}${%s}", "{a: '${%s}', b: '${%s}', c: '${%s}'}"], ids=["text", "mapping"])
def test_load_interpolations_that_grow_exponentially_are_refused(tmp_path, value):
    path = tmp_path / "growing.yaml"
    lines = [f"key{level}: {value.replace('%s', f'key{level + 1}')}" for level in range(11)]
    path.write_text("\n".join([*lines, "key11: x"]))
    message = "33 interpolations ('${...}') are more than the 30 that a config may have; write values instead"
    assert error_of(path) == f"1 problem in {path}:\n  {message}"
    path.write_text("\n".join([*lines[5:], "key11: x"]))
    assert "key5: unknown key" in error_of(path)  # which is told once they are resolved


def test_load_overrides_may_not_add_interpolations_without_end():
    added = [f"env.kwargs.key{number}=${{seed}}" for number in range(31)]
    assert len(load_config("cartpole", added[1:]).env.config.kwargs) == 30
    assert error_of("cartpole", *added).startswith(
        "1 problem in cartpole:\n  31 interpolations ('${...}') are more than"
    )


def test_load_escaped_interpolations_are_text_however_many(tmp_path):
    config = load_config("cartpole")
    config = evolve(config, env=evolve(config.env, config=evolve(config.env.config, kwargs={"text": "${a}" * 40})))
    (tmp_path / "config.yaml").write_text(dump_yaml(config))
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize("length", [100, 101])
def test_load_name_of_the_experiment_that_no_folder_can_have_is_refused(length):
    name = "é" * length  # of two bytes each
    if length == 100:
        assert load_config("cartpole", [f"experiment={name}"]).experiment == name
    else:
        message = f"experiment: '{name}' is too long to name a folder; use 200 bytes at most"
        assert error_of("cartpole", f"experiment={name}") == f"1 problem in cartpole:\n  {message}"


def test_load_every_recipe_without_importing_torch():
    code = f"""
import sys
from rslcore.config import load_config
for recipe in {RECIPES}:
    load_config(recipe)
print("torch" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


@pytest.mark.parametrize("key", ["seed[", "seed.", ".seed", " seed", "seed ", "env..id", "[0]"])
def test_load_override_whose_key_is_malformed_is_refused(key):
    assert error_of("cartpole", f"{key}=1") == (
        f"1 problem in cartpole:\n  the override '{key}=1' does not begin with a key; "
        "write it as in algorithm.learning_rate=1e-4 or loggers[0].name=console"
    )


@pytest.mark.parametrize("text", ["1e3", ".5", "+1", "${seed}", "\\\\${seed}", "\x85", "a\nb", "on", "2026-01-31"])
def test_dump_strings_that_look_like_something_else_read_back_as_they_were(text, tmp_path):
    config = load_config("cartpole")
    config = evolve(config, env=attrs.evolve(config.env, config=evolve(config.env.config, kwargs={"name": text})))
    (tmp_path / "config.yaml").write_text(dump_yaml(config))
    assert load_config(tmp_path / "config.yaml") == config


def test_dump_of_plain_data_is_that_data(tmp_path):
    (tmp_path / "config.yaml").write_text(dump_yaml({"experiment": "1e3", "seed": 2, "policy": {"groups": ["a", "b"]}}))
    assert (tmp_path / "config.yaml").read_text() == ("experiment: '1e3'\nseed: 2\npolicy:\n  groups:\n  - a\n  - b\n")


def test_load_computed_recipe_is_given_the_overrides_and_they_are_applied(install):
    registry = install("fake-tools")
    config = load_config("fake_sized", ["env.num_envs=16", "loggers[0].name=console", "seed=3"], registry)
    assert config.policy.config.actor.network.config.hidden_dims == (16,)
    assert (config.env.config.num_envs, config.seed, config.loggers[0].name) == (16, 3, "console")


def test_load_computed_recipe_with_a_bad_override_tells_of_it_once(install):
    with pytest.raises(ConfigError) as caught:
        load_config("fake_sized", ["envnum_envs", "env.num_envs=32"], install("fake-tools"))
    (problem,) = caught.value.problems
    assert problem.message == "the override 'envnum_envs' should be written key=value, as in seed=2"


def test_load_computed_recipe_with_misspelt_keys_tells_of_them_before_it_is_computed(install):
    overrides = ["env.num_envz=3", "iteratons=3", "iterations=0", "seed", "loggers[0].name=console", "device=${seed}"]
    with pytest.raises(ConfigError) as caught:
        load_config("fake_broken", overrides, install("fake-tools"))
    lines = str(caught.value).splitlines()
    assert lines[:2] == [
        "4 problems in fake_broken:",
        "  the override 'seed' should be written key=value, as in seed=2",
    ]
    assert lines[2].startswith("  iteratons: unknown key; did you mean 'iterations'? (keys: 'algorithm', ")
    assert lines[3] == "  iterations: 0 is out of range, it must be >= 1"
    assert lines[4].startswith("  env.num_envz: unknown key; did you mean 'num_envs'? (keys: ")


def test_load_computed_recipe_of_another_env_has_its_options(install):
    with pytest.raises(ConfigError, match=r"^1 problem in fake_sized:\n  env\.rewrad: unknown key \(keys: "):
        load_config("fake_sized", ["env.name=vec_env", "env.rewrad=x"], install("fake-tools"))
