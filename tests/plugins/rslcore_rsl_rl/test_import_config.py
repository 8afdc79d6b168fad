"""`rslcore import-config`: the files of each project, and files that are none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from rslcore.cli import main
from rslcore.config import dump_yaml, load_config
from rslcore_rsl_rl.agent_file import read_agent_file

DATA = Path(__file__).parent / "data"
ENV = "env: {name: gymnasium, id: CartPole-v1}\n"
RANDOM = (
    "  runner.init_at_random_ep_len: true, where the script called learn(..., init_at_random_ep_len=True), as those of "
    "most projects do\n"
)
ENVS = "left to do:\n  env: write which environments\n"
TO_DO = ENVS + RANDOM
GUESS = (
    "policy.critic.network.groups: ['critic'] is a guess, since 'obs_groups.critic' is missing; if the env has no "
    "group 'critic', write `policy.critic.network.groups=[policy]`, which rsl_rl takes then\n"
)
GUESSED = ("isaaclab_2", "legged_gym")
"""Their versions of rsl_rl had no `obs_groups`."""


@pytest.fixture
def import_config(monkeypatch, capsys):
    """Run the command in this process; give its exit code and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rslcore", "import-config", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    return run


def write(folder, text):
    file = folder / "agent.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("file", sorted(DATA.glob("*.yaml")), ids=lambda file: file.stem)
def test_config_of_each_project_is_one_but_for_the_env(file, import_config, tmp_path):
    code, out, err = import_config(file)
    assert code == 0
    assert err.startswith(f"{ENVS}  {GUESS}{RANDOM}" if file.stem in GUESSED else TO_DO)
    lines = out.splitlines()
    assert (GUESS in err) == (file.stem in GUESSED)
    to_do = [f"# {line.strip()}" for line in err.splitlines()[1:]]
    assert "\n".join(["\n#", "# To check:", *to_do, "\n# env:"]) in out
    assert all(line == line.rstrip() for line in lines)
    assert lines[0] == f"# From rsl_rl's {file.name}."
    assert "# env:  # which environments; `rslcore describe env` lists what is installed" in lines
    (tmp_path / "my.yaml").write_text(ENV + out)
    config = load_config(tmp_path / "my.yaml")
    assert config.runner.config.num_steps_per_env == 24
    assert config.algorithm.name == "ppo"


def test_config_of_isaac_lab_has_its_options(import_config):
    _, out, _ = import_config(DATA / "isaaclab_2.yaml")
    config = yaml.safe_load(out)
    assert config["experiment"] == "anymal_c_rough"
    assert config["policy"]["actor"] == {
        "network": {
            "name": "gru",
            "groups": ["policy"],
            "hidden_dims": [256, 128],
            "normalize": True,
            "activation": "elu",
            "rnn_hidden_dim": 64,
            "rnn_num_layers": 1,
        },
        "distribution": {"name": "gaussian", "init_std": 0.5, "std_type": "log"},
    }
    assert config["algorithm"]["shuffle"] == "none"
    assert config["loggers"] == [{"name": "console"}, {"name": "tensorboard"}]


def test_what_is_left_to_do_is_told(import_config, tmp_path):
    _, out, err = import_config(DATA / "isaaclab_2.yaml")
    assert (
        err
        == f"{ENVS}  {GUESS}{RANDOM}"
        + "  run_name: `rslcore train --run-name first`\n  clip_actions: `env.clip_actions=6.0` for the envs "
        "'isaaclab' and 'mjlab'; for 'vec_env' `env.kwargs.clip_actions=6.0`, where the "
        "function in 'env.factory' takes it\n"
    )
    assert out.splitlines()[1:3] == ["#", "# Notes, with keys and classes as rsl_rl 5 calls them:"]
    assert "# 'logger' (neptune) has no counterpart here; events are written for TensorBoard\n" in out
    text = """
algorithm: {class_name: Distillation, gradient_length: 12}
student: {class_name: MLPModel, distribution_cfg: {class_name: GaussianDistribution}}
teacher: {class_name: MLPModel, distribution_cfg: {class_name: GaussianDistribution, init_std: 0.0}}
obs_groups: {student: [policy], teacher: [privileged]}
num_steps_per_env: 24
"""
    _, out, err = import_config(write(tmp_path, text))
    assert yaml.safe_load(out)["policy"]["teacher"] == {"run": "the/run/of/the/teacher"}
    assert err == (
        "left to do:\n  env: write which environments\n"
        "  policy.teacher.run: write the folder of the teacher's run in place of 'the/run/of/the/teacher'\n" + RANDOM
    )


@pytest.mark.parametrize(("device", "is_told"), [("cpu", True), ("cuda:1", True), ("cuda:0", False), ("cuda", False)])
def test_device_is_left_to_do_where_it_is_another_than_auto_takes(device, is_told, import_config, tmp_path):
    _, _, err = import_config(write(tmp_path, f"device: {device}\n" + (DATA / "mjlab.yaml").read_text()))
    said = (
        f"  device ({device}): is left out, so that CUDA is taken where it is there; write `device={device}` to have "
        "that one\n"
    )
    assert err == TO_DO + (said if is_told else "")


def test_misspelt_key_and_weight_of_rnd_are_left_to_do(import_config, tmp_path):
    text = (DATA / "legged_gym.yaml").read_text().replace("max_iterations", "max_iteration")
    rnd = "algorithm:\n  rnd_cfg: {num_outputs: 1, predictor_hidden_dims: [8], target_hidden_dims: [8], weight: 5.0}\n"
    code, out, err = import_config(write(tmp_path, text.replace("algorithm:\n", rnd)))
    assert code == 0
    for line in (
        "'runner.max_iteration' is not read; did you mean 'max_iterations'?\n",
        "algorithm.extensions[0].weight: 'algorithm.rnd_cfg.weight' (5.0) is per second in rsl_rl, ",
    ):
        assert f"\n  {line}" in err
        assert f"\n# {line}" in out.partition("# To check:")[2]
    assert "'max_iteration'" not in out.replace("'runner.max_iteration' is not read", "")


def test_config_of_rslcore_is_told_to_be_one_already(import_config, tmp_path):
    file = write(tmp_path, dump_yaml(load_config("cartpole")))
    what = f"'{file}' is a config of rslcore already; `rslcore train {file}` takes it"
    assert import_config(file) == (2, "", f"error: {what}\n")


def test_config_of_an_env_is_told_to_be_one(import_config, tmp_path):
    file = write(tmp_path, "viewer: {}\nsim: {dt: 0.005}\ndecimation: 4\nscene: {num_envs: !!python/tuple [1]}\n")
    what = f"'{file}' looks like the config of an env; take the agent.yaml that lies beside it"
    assert import_config(file) == (2, "", f"error: {what}\n")


def test_output_is_written_to_a_file(import_config, tmp_path):
    _, printed, _ = import_config(DATA / "mjlab.yaml")
    code, out, err = import_config(DATA / "mjlab.yaml", "--output", tmp_path / "my.yaml")
    assert (code, out, err) == (0, "", TO_DO)
    assert (tmp_path / "my.yaml").read_text() == printed
    code, _, err = import_config(DATA / "mjlab.yaml", "-o", tmp_path / "none" / "my.yaml")
    assert (code, err) == (2, f"error: '{tmp_path}/none/my.yaml' cannot be written: No such file or directory\n")


@pytest.mark.parametrize("name", ["agent.yaml", "my.yaml"])
def test_output_that_is_there_already_stays_as_it_is(name, import_config, tmp_path):
    file = write(tmp_path, text := (DATA / "mjlab.yaml").read_text())
    (tmp_path / "my.yaml").write_text(text)
    code, out, err = import_config(file, "-o", tmp_path / name)
    assert (code, out) == (2, "")
    assert err == f"error: '{tmp_path}/{name}' is there already; choose another name with --output\n"
    assert (tmp_path / name).read_text() == text


def test_all_problems_are_told_and_nothing_is_written(import_config, tmp_path):
    text = (
        (DATA / "isaaclab_2.yaml").read_text().replace("gamma: 0.99", "gamma: 1.5").replace("clip_param", "clip_parm")
    )
    file = write(tmp_path, text.replace("actor_hidden_dims:\n  - 256", "actor_hidden_dims:\n  - wide"))
    code, out, err = import_config(file, "-o", tmp_path / "my.yaml")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0] == f"error: 3 problems in '{file}':"
    assert lines[1].startswith("  algorithm.clip_parm: unknown key; did you mean 'clip_param'?")
    assert "  policy.actor_hidden_dims[0]: 'wide' (str) should be a whole number" in lines
    assert "  algorithm.gamma: 1.5 is out of range, it must be in [0.0, 1.0]" in lines
    assert not (tmp_path / "my.yaml").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "1 problem in '{file}':\n  [1] (list) should be a dict of rsl_rl's"),
        ("", "'{file}' is empty\n"),
        ("# nothing\n", "'{file}' is empty\n"),
        ("a: &a [*a]\nactor: *a\n", "1 problem in '{file}':\n  the dict is nested too deeply, or holds itself"),
        ("a: " + "[" * 10_000, "'{file}' is nested too deeply to be read"),
        ("a: [1\n", "'{file}' is not valid YAML: line 2, column 1: expected ',' or ']', but got '<stream end>'\n"),
    ],
)
def test_file_that_holds_no_config_is_refused(text, message, import_config, tmp_path):
    file = write(tmp_path, text)
    code, out, err = import_config(file)
    assert (code, out) == (2, "")
    assert err.startswith("error: " + message.replace("{file}", str(file)))


def test_file_that_cannot_be_read_is_refused(import_config, tmp_path):
    code, _, err = import_config(tmp_path / "no.yaml")
    assert (code, err) == (2, f"error: '{tmp_path}/no.yaml' cannot be read: No such file or directory\n")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    code, _, err = import_config(tmp_path / "bytes.yaml")
    assert (code, err) == (2, f"error: '{tmp_path}/bytes.yaml' cannot be read: it is not UTF-8 text\n")


def test_python_tags_are_data_and_run_nothing(tmp_path):
    witness = tmp_path / "was_here"
    text = f"""
tuple: !!python/tuple [1, !!python/tuple [2]]
slice: !!python/object/apply:builtins.slice [0, 3, null]
function: !!python/name:my.module.function ''
module: !!python/module:os ''
object: !!python/object:my.Config {{width: 3}}
harm: !!python/object/apply:os.system ["touch {witness}"]
new: !!python/object/new:os.system ["touch {witness}"]
dict: !!python/dict {{a: 1e-3}}
text: !!python/str hello
numbers: [1e-3, 1.5E+2, -2e4, 1.0e-05, 3, '1e-3']
"""
    assert read_agent_file(write(tmp_path, text)) == {
        "tuple": [1, [2]],
        "slice": [0, 3, None],
        "function": "my.module.function",
        "module": "os",
        "object": {"width": 3},
        "harm": [f"touch {witness}"],
        "new": [f"touch {witness}"],
        "dict": {"a": 0.001},
        "text": "hello",
        "numbers": [0.001, 150.0, -20000.0, 1e-05, 3, "1e-3"],
    }
    assert not witness.exists()
