"""The command line as a user types it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from damaging import rewrite

from rslcore.config import load_config

DISTRIBUTIONS = Path(__file__).parents[2] / "data" / "distributions"
SMALL = ("iterations=2", "env.num_envs=4", "runner.num_steps_per_env=8")


@pytest.fixture
def run(rslcore, tmp_path):
    """A small trained run."""
    code, _, err = rslcore("train", "cartpole", *SMALL, "--log-root", tmp_path / "logs", "--quiet")
    assert (code, err) == (0, "")
    (path,) = (tmp_path / "logs" / "cartpole").iterdir()
    return path


def in_subprocess(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_list_plugins_imports_neither_torch_nor_any_component():
    code = """
import sys
sys.argv = ["rslcore", "list-plugins"]
from rslcore.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 0
heavy = {"torch", "tensordict", "gymnasium", "numpy", "cattrs", "omegaconf", "rslcore_ppo.ppo", "rslcore_ppo.config"}
print(sorted(heavy & set(sys.modules)))
"""
    assert in_subprocess(code).splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments", [["describe"], ["describe", "algorithm", "ppo"], ["describe", "recipe", "cartpole"]]
)
def test_describe_does_not_import_torch(arguments):
    code = f"""
import sys
sys.argv = ["rslcore", *{arguments!r}]
from rslcore.cli import main
try:
    main()
except SystemExit:
    print("torch" in sys.modules)
"""
    assert in_subprocess(code).splitlines()[-1] == "False"


def test_list_plugins_table_and_json_agree(rslcore):
    code, table, _ = rslcore("list-plugins")
    assert code == 0
    assert table.splitlines()[0].split() == ["plugin", "distribution", "version", "status", "components"]
    code, text, _ = rslcore("list-plugins", "--json")
    plugins = json.loads(text)
    assert code == 0
    ppo = next(plugin for plugin in plugins if plugin["plugin"] == "ppo")
    assert (ppo["distribution"], ppo["version"], ppo["status"]) == ("rslcore", "0.1.0", "ok")
    assert ppo["components"][0]["name"] == "ppo"
    assert re.search(r"^ppo +rslcore +0\.1\.0 +ok +algorithm ppo", table, re.MULTILINE)


def test_list_plugins_broken_plugin_is_a_row_and_an_error_only_when_strict():
    code = f"""
import sys
sys.path.insert(0, {str(DISTRIBUTIONS / "fake-raises")!r})
sys.argv = ["rslcore", "list-plugins"] + {{}}
from rslcore.cli import main
try:
    main()
except SystemExit as end:
    print("code", end.code)
"""
    listed = in_subprocess(code.format([]))
    assert re.search(r"^fake_raises +fake-raises +1\.0 +failed +RuntimeError: no licence found", listed, re.MULTILINE)
    assert listed.splitlines()[-1] == "code 0"
    assert in_subprocess(code.format(["--strict"])).splitlines()[-1] == "code 2"


def test_no_plugin_leaves_a_plugin_out(rslcore):
    _, text, _ = rslcore("--no-plugin", "ppo", "list-plugins", "--json")
    assert {p["plugin"]: p["status"] for p in json.loads(text)}["ppo"] == "disabled"
    code, _, err = rslcore("--no-plugin", "ppo", "train", "cartpole")
    assert code == 2
    assert "algorithm.name: there is no algorithm 'ppo' (installed: 'distillation', 'fast_sac'); disabled: ppo" in err


def test_describe_kinds_components_and_fields(rslcore):
    _, kinds, _ = rslcore("describe")
    assert re.search(r"^algorithm +distillation, fast_sac, ppo +Chooses actions", kinds, re.MULTILINE)
    assert re.search(
        r"^recipe +cartpole, cartpole_memory, genesis, halfcheetah, halfcheetah_amp, half", kinds, re.MULTILINE
    )
    _, networks, _ = rslcore("describe", "network")
    assert re.search(r"^mlp +rslcore +0\.1\.0 +Fully connected", networks, re.MULTILINE)
    _, fields, _ = rslcore("describe", "algorithm", "ppo")
    assert re.search(r"^clip_param +float +0\.2 +> 0\.0 +Clip range", fields, re.MULTILINE)
    assert re.search(r"^schedule +'adaptive' or 'fixed' +\"adaptive\"", fields, re.MULTILINE)


def test_describe_json_has_type_default_range_and_meaning(rslcore):
    _, text, _ = rslcore("describe", "algorithm", "ppo", "--json")
    described = json.loads(text)
    assert described["source"] == "rslcore 0.1.0"
    gamma = next(field for field in described["fields"] if field["name"] == "gamma")
    assert gamma == {
        "name": "gamma",
        "type": "float",
        "required": False,
        "default": 0.99,
        "range": "[0.0, 1.0]",
        "doc": "Discount of a step.",
    }
    assert isinstance(json.loads(rslcore("describe", "--json")[1]), list)
    assert isinstance(json.loads(rslcore("describe", "env", "--json")[1]), list)
    assert json.loads(rslcore("describe", "recipe", "cartpole", "--json")[1])["experiment"] == "cartpole"


def test_describe_recipe_prints_a_config_that_trains(rslcore, tmp_path):
    _, text, _ = rslcore("describe", "recipe", "pendulum")
    (tmp_path / "mine.yaml").write_text(text)
    assert load_config(tmp_path / "mine.yaml") == load_config("pendulum")


def test_describe_experiment_lists_the_keys_of_a_config(rslcore):
    assert re.search(r"^iterations +int +1000 +>= 1", rslcore("describe", "experiment")[1], re.MULTILINE)


def test_train_says_where_the_run_lies_and_what_to_type_next(rslcore, tmp_path):
    code, out, err = rslcore("train", "cartpole", *SMALL, "--log-root", tmp_path, "--run-name", "mine")
    (path,) = (tmp_path / "cartpole").iterdir()
    assert (code, err) == (0, "")
    assert out.splitlines()[-4:] == [
        f"Trained 2 iterations. The run lies in {path}",
        f"  evaluate it   rslcore eval {path}",
        f"  see curves    tensorboard --logdir {tmp_path / 'cartpole'}",
        f"  go on         rslcore train --resume {path} iterations=4",
    ]


def test_train_quiet_prints_nothing(run):
    assert (run / "model_2.pt").is_file()


def test_train_resume_with_and_without_a_recipe(rslcore, run):
    code, _, _ = rslcore("train", "--resume", run, "iterations=3", "--quiet")
    assert code == 0
    code, _, _ = rslcore("train", "cartpole", *SMALL, "iterations=4", "--resume", run, "--quiet")
    assert code == 0
    assert (run / "model_4.pt").is_file()


def test_train_resume_says_what_it_goes_on_from(rslcore, run):
    code, out, err = rslcore("train", "--resume", run, "iterations=3", "loggers=[]")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"goes on from {run}/model_2.pt, iteration 2"
    assert rslcore("train", "--resume", run, "iterations=4", "--quiet") == (0, "", "")


def test_train_folder_says_what_to_do_with_it(rslcore, run, tmp_path, monkeypatch):
    advice = f"to go on with the run, type `rslcore train --resume {run}`; to evaluate it, `rslcore eval {run}`"
    for folder, message in (
        (run, f"is a run's folder; {advice}"),
        (run.parent, f"is a folder of runs; {advice}"),
        (tmp_path, "is a folder; name a recipe, or a config file in it"),
    ):
        assert rslcore("train", folder) == (2, "", f"error: '{folder}' {message}\n")
    (tmp_path / "cartpole").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "1 problem in cartpole:" in rslcore("train", "cartpole", "iterations=0")[2]  # the recipe


def test_eval_prints_a_table_and_json(rslcore, run):
    code, out, _ = rslcore("eval", run, "--episodes", "3")
    assert code == 0
    assert out.splitlines()[0] == f"3 episodes of {run / 'model_2.pt'}"
    assert out.splitlines()[1].split() == ["mean", "std", "min", "max"]
    _, text, _ = rslcore("eval", run, "--episodes", "3", "--seed", "5", "--checkpoint", "2", "--json")
    result = json.loads(text)
    assert result["episodes"] == 3
    assert result["iteration"] == 2
    assert set(result["return"]) == set(result["length"]) == {"mean", "std", "min", "max"}


def damage(run):
    file = run / "model_2.pt"
    file.write_bytes(file.read_bytes()[:-500])


def make_foreign(run):
    torch.save({"model_state_dict": {}}, run / "model_2.pt")


def outdate(run):
    payload = torch.load(run / "model_2.pt", weights_only=True)
    payload["config"]["algorithm"]["old_option"] = 1
    rewrite(run / "model_2.pt", payload)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: (run / "model_2.pt").unlink(), "has no checkpoint yet (no model_<iteration>.pt)"),
        (damage, "is damaged, truncated or no checkpoint: "),
        (make_foreign, "is not an rslcore checkpoint; it was written by another program"),
        (outdate, "algorithm.old_option: unknown key"),
    ],
)
def test_eval_bad_checkpoint_is_one_error(rslcore, run, change, message):
    change(run)
    code, out, err = rslcore("eval", run)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["trian"],
            "there is no command 'trian'; did you mean 'train'? (commands: list-plugins, describe, train, "
            "eval, export, new-plugin, check-plugin",  # and those of plugins
        ),
        (["train"], "name a recipe or a config file: `rslcore train cartpole`, `rslcore train my.yaml`"),
        (["train", "cartpol"], "there is no recipe 'cartpol'; did you mean 'cartpole'?"),
        (["train", "cartpole", "--quite"], "No such option '--quite'. Did you mean '--quiet'?"),
        (["train", "cartpole", "seed"], "the override 'seed' should be written key=value, as in seed=2"),
        (["train", "cartpole", "sede=1"], "sede: unknown key; did you mean 'seed'?"),
        (
            ["train", "cartpole", "algorithm.name=pppo"],
            "algorithm.name: there is no algorithm 'pppo'; did you mean 'ppo'?",
        ),
        (["train", "cartpole", "seed=two"], "seed: 'two' (str) should be a whole number"),
        (["train", "cartpole", "algorithm.gamma=2"], "algorithm.gamma: 2.0 is out of range, it must be in [0.0, 1.0]"),
        (["train", "nothing.yaml"], "there is no file 'nothing.yaml'"),
        (["train", "cartpole", "device=cuda:99"], "device: 'cuda:99' is not there; this machine has 'auto', 'cpu'"),
        (["train", "cartpole", "env.id=Cart-v1"], "env.id: Gymnasium knows no env 'Cart-v1'"),
        (
            ["train", "cartpole", "algorithm.num_mini_batches=7"],
            "algorithm.num_mini_batches: 7 does not divide the rollout",
        ),
        (["train", "cartpole", "--resume", "no/run"], "there is no run 'no/run'"),
        (["train", "cartpole", "--run-name", "a/b"], "the run name 'a/b' cannot be part of a folder's name"),
        (
            ["train", "cartpole", "policy.critic.network.groups=[privileged]"],
            "policy.critic.network.groups: the env has no observation group 'privileged' (it has 'policy')",
        ),
        (["eval", "no/run"], "there is no run 'no/run'"),
        (["eval", ".", "--episodes", "0"], "0 is not in the range x>=1"),
        (["describe", "algoritm"], "there is no kind 'algoritm'; did you mean 'algorithm'?"),
        (
            ["describe", "extention"],
            "did you mean 'extension'? (kinds: 'algorithm', 'distribution', 'env', 'experiment'",
        ),
        (["describe", "foo", "bar"], "there is no kind 'foo' (kinds: 'algorithm', 'distribution', 'env', 'experiment'"),
        (["describe", "experiment", "foo"], "an experiment has no components of its own"),
        (["describe", "ppo"], "'ppo' is no kind; type `rslcore describe algorithm ppo`"),
        (["describe", "algorithm", "poo"], "there is no algorithm 'poo'; did you mean 'ppo'?"),
        (["describe", "recipe", "cartpol"], "there is no recipe 'cartpol'; did you mean 'cartpole'?"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(rslcore, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = rslcore(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_bad_input_several_problems_are_told_at_once(rslcore):
    code, _, err = rslcore("train", "cartpole", "seed=x", "algorithm.gama=1", "env.num_envs=0")
    assert code == 2
    assert err.splitlines() == [
        "error: 3 problems in cartpole:",
        "  seed: 'x' (str) should be a whole number",
        "  env.num_envs: 0 is out of range, it must be in [1, 10000000]",
        next(line for line in err.splitlines() if "algorithm.gama: unknown key; did you mean 'gamma'?" in line),
    ]


def test_python_m_rslcore_is_rslcore():
    result = subprocess.run([sys.executable, "-m", "rslcore", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == "rslcore 0.1.0\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_to_all_processes_of_a_run_saves_and_gives_its_exit_code(tmp_path, number, code):
    # As a terminal does on Ctrl-C: the whole process group is signalled, worker processes of the envs included.
    command = [sys.executable, "-m", "rslcore", "train", "cartpole", *SMALL, "iterations=1000000"]
    command += ["env.vectorization=async", "algorithm.execution=eager"]
    command += ["loggers=[{name: console, line_interval: 0}]"]
    command += ["--log-root", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not process.stdout.readline().startswith("iteration 3/"):
            assert process.poll() is None, process.stderr.read()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:  # what a scheduler does: the workers are left to the run
            process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == code, err
    (run,) = (tmp_path / "cartpole").iterdir()
    iteration = max(int(path.stem.partition("_")[2]) for path in run.glob("model_*.pt"))
    assert f"Stopped by {number.name} at iteration {iteration}. The run lies in {run}" in out
    assert err.strip() == "finishing the iteration, then saving; once more stops at once, without saving"


LINEAR = "policy.actor.network={name: fake_linear}"


@pytest.fixture
def run_of_a_third_party(install, monkeypatch, tmp_path):
    """A run whose actor comes from fake-good, which is there while it is trained only."""
    from rslcore.training import train

    with monkeypatch.context() as installed:
        installed.syspath_prepend(str(DISTRIBUTIONS / "fake-good"))
        registry = install()
        config = load_config("cartpole", [*SMALL, LINEAR, "loggers=[]"], registry)
        return train(config, log_root=tmp_path, quiet=True, registry=registry).path


def test_run_whose_plugin_is_missing_says_what_to_install(rslcore, run_of_a_third_party):
    run = run_of_a_third_party
    lines = [
        f"error: '{run / 'model_2.pt'}' does not go with the plugins that are here:",
        "  network 'fake_linear' came from fake-good 1.0, which is not installed; type `pip install 'fake-good==1.0'`",
    ]
    code, _, err = rslcore("eval", run)
    assert (code, err.splitlines()) == (2, lines)
    code, _, err = rslcore("train", "--resume", run, "iterations=3")
    assert (code, err.splitlines()) == (2, lines)
    # What the checkpoint does not say is told too.
    more = ["plugins.require=[fake-good>=0.5]", "algorithm.name=pppo"]
    code, _, err = rslcore("train", "--resume", run, "iterations=3", *more)
    assert (code, err.splitlines()[:3]) == (2, [*lines, f"1 problem in {run / 'config.yaml'}:"])
    assert err.splitlines()[3:] == [next(line for line in err.splitlines() if "'pppo'; did you mean 'ppo'?" in line)]
    # Where the config names the component no more, its plugin is not asked for.
    other = "policy.actor.network={name: mlp, hidden_dims: [64, 64]}"
    code, _, err = rslcore("train", "--resume", run, "iterations=3", other, "seed=x")
    problem = "  seed: 'x' (str) should be a whole number"
    assert (code, err.splitlines()) == (2, [f"error: 1 problem in {run / 'config.yaml'}:", problem])
    code, _, err = rslcore("train", "--resume", run, "iterations=3", other, "runner.name=on_polizy")
    assert (code, err.splitlines()[0]) == (2, f"error: 1 problem in {run / 'config.yaml'}:")


def test_run_whose_plugin_is_older_says_once_what_to_install(rslcore, run_of_a_third_party, monkeypatch, tmp_path):
    older = shutil.copytree(DISTRIBUTIONS / "fake-good", tmp_path / "older")
    metadata = older / "fake_good-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 0.9"))
    monkeypatch.syspath_prepend(str(older))
    run = run_of_a_third_party
    # A plugin that is left out makes the command discover anew, with the path of this test.
    resume = ("--no-plugin", "rnd", "train", "--resume", run, "iterations=3")
    for requirement in ("plugins.require=[fake-good>=0.95]", "plugins.require=[]"):
        code, _, err = rslcore(*resume, requirement)
        assert (code, err.splitlines()) == (
            2,
            [
                f"error: '{run / 'model_2.pt'}' does not go with the plugins that are here:",
                "  network 'fake_linear' came from fake-good 1.0, and 0.9 is installed; "
                "type `pip install 'fake-good>=1.0'`",
            ],
        )


def test_run_whose_plugin_is_left_out_says_so(rslcore, run_of_a_third_party, monkeypatch):
    monkeypatch.syspath_prepend(str(DISTRIBUTIONS / "fake-good"))
    code, _, err = rslcore("--no-plugin", "fake_good", "eval", run_of_a_third_party)
    assert (code, err.splitlines()[1:]) == (
        2,
        [
            "  network 'fake_linear' came from plugin 'fake_good' of fake-good 1.0, which is left out by "
            "`--no-plugin fake_good`; take that away"
        ],
    )


def test_factory_that_fails_is_named_after_the_traceback_of_its_code(rslcore, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(DISTRIBUTIONS / "fake-faulty"))
    network = "policy.actor.network={name: raises}"
    # A plugin that is left out makes the command discover anew, with the path of this test.
    code, _, err = rslcore("--no-plugin", "rnd", "train", "cartpole", *SMALL, network, "--log-root", tmp_path / "logs")
    assert code == 2
    lines = err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert any('fake_faulty/network.py", line' in line for line in lines)
    assert lines[-1] == "error: network 'raises' of fake-faulty 1.0 failed when it was built: KeyError: 'layers'"
    assert not (tmp_path / "logs").exists()


def test_list_plugins_says_where_a_plugin_is_left_out(rslcore):
    _, table, _ = rslcore("--no-plugin", "rnd", "list-plugins")
    assert re.search(r"^rnd +rslcore +0\.1\.0 +disabled +left out by `--no-plugin rnd`", table, re.MULTILINE)
