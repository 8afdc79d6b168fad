"""The plugins in docs/examples train, so that the pages that quote them stay true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.evaluation import load_policy
from rslcore.protocols import RecurrentNetwork
from rslcore.recurrence import forget, split_sequences
from rslcore.registry import Registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.training import train

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SMALL = ["iterations=2", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]"]


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Put an example on the path with the metadata that an installer would make of its pyproject.toml."""

    def load(name):
        project = tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text())["project"]
        info = tmp_path / f"{name}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
            + "".join(f"Requires-Dist: {requirement}\n" for requirement in project["dependencies"])
        )
        entry_points = project["entry-points"]["rslcore"].items()
        (info / "entry_points.txt").write_text("[rslcore]\n" + "".join(f"{k} = {v}\n" for k, v in entry_points))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.syspath_prepend(str(EXAMPLES / name))
        return Registry.discover()

    return load


def test_extension_example_trains_and_loads(install, tmp_path):
    registry = install("rslcore_novelty")
    config = load_config("cartpole", [*SMALL, "algorithm.extensions=[{name: novelty, weight: 0.5}]"], registry)
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    assert {"Loss/novelty", "Novelty/reward"} <= set(result.metrics)
    load_policy(result.path, registry=registry)


def test_network_example_trains_from_its_config(install, tmp_path):
    registry = install("rslcore_residual")
    result = train(
        load_config(EXAMPLES / "residual.yaml", SMALL, registry), log_root=tmp_path, quiet=True, registry=registry
    )
    assert result.iteration == 2


def test_recurrent_network_of_the_plugins_page_equals_itself_step_by_step():
    page = (EXAMPLES.parent / "plugins.md").read_text()
    names = {}
    blocks = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Elman" in block]
    for block in blocks:
        exec(block, names)
    spec = EnvSpec(2, {"policy": TensorSpec((3,))}, ActionSpec(1))
    context = Context(Registry([], None), None, torch.device("cpu"), 1, 4, spec=spec)
    network = names["Elman"](names["ElmanConfig"](width=5), context, num_outputs=2)
    assert isinstance(network, RecurrentNetwork)
    obs = TensorDict({"policy": torch.randn(8, 3)}, batch_size=[8])
    dones = torch.tensor([[0, 0], [1, 0], [0, 0], [0, 1]], dtype=torch.bool)
    state = first = {"hidden": torch.randn(2, 5)}
    outputs = []
    for rows, ended in zip(obs.split(2), dones, strict=True):
        outputs_of_step, state = network(rows, state, None)
        outputs.append(outputs_of_step)
        state = forget(state, ended)
    rows, sequences = split_sequences(dones.numpy(), None, torch.device("cpu"))
    packed, after = network(obs[rows], sequences.first_states(first), sequences)
    torch.testing.assert_close(packed, torch.cat(outputs)[rows])
    torch.testing.assert_close(sequences.last_states(after, 2)["hidden"], state["hidden"])


def test_env_example_trains_from_its_config(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    config = load_config(EXAMPLES / "reach.yaml", ["iterations=1", "loggers=[]"])
    policy = load_policy(train(config, log_root=tmp_path, quiet=True).path)
    assert set(policy.spec.observations) == {"policy", "privileged"}


def test_mirror_example_trains(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    extension = "algorithm.extensions=[{name: symmetry, function: 'pendulum_mirror:mirror', use_mirror_loss: true}]"
    config = load_config("pendulum", [*SMALL, "algorithm.num_mini_batches=2", extension])
    assert train(config, log_root=tmp_path, quiet=True).metrics["Loss/symmetry"] >= 0.0
