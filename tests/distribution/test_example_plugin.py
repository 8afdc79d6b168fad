"""The example of the plugin tutorial as a user meets it: its wheel beside ours, used through the command line alone.

This installs distributions into the environment that it runs in, which should be a fresh one: `tox -e example-plugin`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

if os.environ.get("RSLCORE_FRESH_ENVIRONMENT") != "1":
    pytest.exit("these tests install distributions into their environment: run `tox -e example-plugin`", returncode=2)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "rslcore-novelty"
NAMES = ["rslcore-novelty", "rslcore-new-extension", "rslcore-new-env", "rslcore-new-algorithm"]


def run(command, folder, code=0):
    """Run a command as it is typed; what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONWARNINGS": ""}
    environment.pop("PYTHONPATH", None)
    result = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == code, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """The example, built into a wheel and installed from it; everything is uninstalled at the end."""
    folder = tmp_path_factory.mktemp("wheels")
    run(f"pip uninstall --yes {' '.join(NAMES)}", folder)
    run(f"pip wheel --no-deps --wheel-dir . {shlex.quote(str(EXAMPLE))}", folder)
    constraints = shlex.quote(str(ROOT / "constraints.txt"))
    run(f"pip install --constraint {constraints} rslcore_novelty-0.1.0-py3-none-any.whl", folder)
    yield
    run(f"pip uninstall --yes {' '.join(NAMES)}", folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the user works."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def trained(folder):
    """What training by name prints."""
    return run("rslcore train novelty iterations=20", folder)


def test_both_are_installed_from_wheels(folder):
    for package in ("rslcore", "rslcore_novelty"):
        file = run(f"python -c 'import {package}; print({package}.__file__)'", folder)
        assert "site-packages" in file


def test_list_plugins_has_it_beside_ours(folder):
    table = run("rslcore list-plugins --strict", folder)
    assert re.search(r"^novelty +rslcore-novelty +0\.1\.0 +ok +extension novelty, recipe novelty", table, re.MULTILINE)
    assert re.search(r"^ppo +rslcore +\S+ +ok +algorithm ppo", table, re.MULTILINE)


def test_describe_prints_its_options(folder):
    described = run("rslcore describe extension novelty", folder)
    assert described.startswith("extension novelty (rslcore-novelty 0.1.0): A reward for observations")
    assert re.search(r"^weight +float +0\.1 +>= 0\.0 +Factor on the error", described, re.MULTILINE)
    assert "require:" in run("rslcore describe recipe novelty", folder)


def test_train_by_name_logs_its_loss_and_metric(trained):
    assert re.search(r"^iteration 20/20: .*, novelty [\d.e-]+, .*, reward [\d.e-]+,", trained, re.MULTILINE)
    assert "Trained 20 iterations." in trained


def test_run_goes_on_and_is_evaluated(trained, folder):
    resumed = run("rslcore train --resume logs/novelty iterations=25", folder)
    assert "Trained 25 iterations." in resumed
    evaluated = run("rslcore eval logs/novelty --episodes 10", folder)
    assert re.search(r"^10 episodes of logs/novelty/\S+/model_25\.pt$", evaluated, re.MULTILINE)
    assert re.search(r"^return +\d+\.\d\d", evaluated, re.MULTILINE)


def test_without_the_plugin_messages_say_what_is_missing(trained, folder):
    table = run("rslcore --no-plugin novelty list-plugins", folder)
    assert re.search(r"^novelty +rslcore-novelty +0\.1\.0 +disabled", table, re.MULTILINE)
    message = run("rslcore --no-plugin novelty train novelty", folder, code=2)
    assert "there is no recipe 'novelty'" in message
    assert "; disabled: novelty;" in message
    message = run("RSLCORE_DISABLED_PLUGINS=rslcore-novelty rslcore eval logs/novelty", folder, code=2)
    assert "rslcore-novelty" in message
    assert "Traceback" not in message


def test_check_plugin_finds_nothing_to_mend(folder):
    assert "MEND" not in run("rslcore check-plugin rslcore-novelty", folder)


def test_its_own_tests_pass_against_the_wheel(folder):
    tests = shlex.quote(str(EXAMPLE / "tests"))
    assert " passed" in run(f"pytest -p no:cacheprovider --rootdir . {tests}", folder)


def test_new_plugin_works_by_the_commands_of_its_readme(folder):
    printed = run("rslcore new-plugin new-extension", folder)
    assert printed.startswith("Wrote rslcore-new-extension: the extension 'new-extension', complete and working.")
    project = folder / "rslcore-new-extension"
    block = (project / "README.md").read_text().partition("In this folder:\n\n")[2].partition("\n\n")[0]
    commands = [line.strip() for line in block.splitlines()]
    assert len(commands) == 7
    outputs = {command: run(command, project) for command in commands}
    assert re.search(r"^new_extension +rslcore-new-extension +0\.1\.0 +ok", outputs["rslcore list-plugins"], re.M)
    assert "Trained 20 iterations." in outputs["rslcore train new-extension"]
    assert "MEND" not in outputs["rslcore check-plugin rslcore-new-extension"]


def test_new_plugins_of_other_kinds_are_installed_and_found(folder):
    kinds = ("env", "algorithm")
    for kind in kinds:
        run(f"rslcore new-plugin new-{kind} --kind {kind} --output others", folder)
    run("pip install " + " ".join(f"./others/rslcore-new-{kind}" for kind in kinds), folder)
    table = run("rslcore list-plugins --strict", folder)
    for kind in kinds:
        brings = rf"^new_{kind} +rslcore-new-{kind} +0\.1\.0 +ok +{kind} new-{kind}, recipe new-{kind}"
        assert re.search(brings, table, re.MULTILINE)
