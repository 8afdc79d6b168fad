"""rsl_rl's configs as files: which are known as such, and what a user who trains with one is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rslcore.cli import main
from rslcore.config import dump_yaml, load_config
from rslcore.errors import ConfigError
from rslcore_rsl_rl.agent_file import is_agent_file, read_agent_file

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("*.yaml"))


@pytest.fixture
def train(monkeypatch, capsys):
    """Run `rslcore train` in this process; give its exit code and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rslcore", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    return run


def write(folder, text, name="agent.yaml"):
    file = folder / name
    file.write_text(text)
    return file


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_training_with_a_config_of_each_project_names_the_command_that_imports_it(file, train):
    what = f"'{file}' looks like a config of rsl_rl; type `rslcore import-config {file} -o my.yaml`"
    assert train("train", file, "seed=2") == (2, "", f"error: {what}\n")


def test_training_with_such_a_config_names_it_as_a_shell_reads_it(train, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, FILES[0].read_text(), "our agent.yaml")
    what = "'our agent.yaml' looks like a config of rsl_rl; type `rslcore import-config 'our agent.yaml' -o my.yaml`"
    assert train("train", "our agent.yaml") == (2, "", f"error: {what}\n")


def test_training_with_such_a_config_without_the_plugin_says_what_is_wrong(train):
    code, _, err = train("--no-plugin", "rsl_rl", "train", DATA / "mjlab.yaml")
    assert code == 2
    assert err.startswith(f"error: '{DATA}/mjlab.yaml' is not valid YAML: line 15, column 13: could not determine a")


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("num_steps_per_env: 24\nalgorithm: {class_name: PPO}\n", True),
        (
            "num_steps_per_env: 24\nalgorithm: !!python/dict {class_name: !!python/name:rsl_rl.algorithms.PPO ''}\n",
            True,
        ),
        ("runner: {policy_class_name: ActorCritic}\nalgorithm: {gamma: 0.99}\n", True),
        ("num_steps_per_env: 24\nalgorithm: {name: ppo}\n", False),
        ("num_steps_per_env: 24\nalgorithm: ppo\n", False),
        ("runner: {num_steps_per_env: 24}\nalgorithm: {gamma: 0.99}\n", False),
        ("num_steps_per_env: 24\n", False),
        ("decimation: 4\nactions: !!python/tuple [1]\n", False),
        ("- algorithm\n", False),
        ("algorithm: [\n", False),
        ("", False),
    ],
)
def test_is_agent_file_knows_what_runners_of_rsl_rl_take(text, known, tmp_path):
    assert is_agent_file(write(tmp_path, text)) is known


@pytest.mark.parametrize("recipe", ["cartpole", "pendulum_student", "halfcheetah_sac"])
def test_is_agent_file_knows_a_config_of_rslcore_as_none(recipe, tmp_path):
    assert not is_agent_file(write(tmp_path, dump_yaml(load_config(recipe))))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: !!bool perhaps", "'perhaps'"),
        ("a: !!int ''", "string index out of range"),
        ("a: !!timestamp now", "'NoneType' object has no attribute 'groupdict'"),
    ],
)
def test_read_agent_file_with_values_that_are_none_of_their_tags(text, reason, tmp_path):
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_agent_file(file)
    assert str(caught.value) == f"'{file}' is not valid YAML: {reason}"
