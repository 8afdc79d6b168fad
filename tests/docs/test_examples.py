"""The plugins in docs/examples train, so that the pages that quote them stay true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import exporting
import pytest
import torch
from installing import install_source
from tensordict import TensorDict

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.evaluation import load_policy
from rslcore.export import export_policy
from rslcore.protocols import RecurrentNetwork
from rslcore.recurrence import forget, split_sequences
from rslcore.registry import Registry
from rslcore.scaffold import PluginNames
from rslcore.scaffold.kinds import SKELETONS
from rslcore.scaffold.write import render
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.testing.cases import run_contract
from rslcore.training import train

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SMALL = ["iterations=2", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]"]


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Put an example on the path with the metadata that an installer would make of its pyproject.toml."""

    def load(name):
        for path in install_source(EXAMPLES / name, tmp_path / "site"):
            monkeypatch.syspath_prepend(str(path))
        return Registry.discover()

    return load


def test_extension_example_trains_and_loads(install, tmp_path):
    registry = install("rslcore-novelty")
    result = train(load_config("novelty", SMALL, registry), log_root=tmp_path, quiet=True, registry=registry)
    assert {"Loss/novelty", "Novelty/reward"} <= set(result.metrics)
    load_policy(result.path, registry=registry)


def test_extension_example_is_what_new_plugin_writes_but_for_what_is_filled_in():
    written = render(PluginNames.parse("novelty", "extension"))
    filled_in = {
        SKELETONS["extension"].summary: "A reward for observations that a network cannot predict yet.",
        SKELETONS["extension"].recipe_summary: "CartPole-v1 with PPO and a reward for what is new.",
    }
    own = {"config.py", "extension.py", "novelty.yaml", "test_novelty.py"}
    for path, text in written.items():
        ours = (EXAMPLES / "rslcore-novelty" / path).read_text()
        for summary, replacement in filled_in.items():
            text = text.replace(summary, replacement)
        assert path.rpartition("/")[2] in own or ours == text, path


def test_network_example_trains_from_its_config(install, tmp_path):
    registry = install("rslcore-residual")
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


def example_of(page, name):
    """The class `name` of a page, from the block of code that has it."""
    blocks = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / page).read_text(), re.DOTALL)
    (block,) = [block for block in blocks if re.search(rf"class {name}\b", block)]
    names = {}
    exec(block, names)
    return names[name]


def train_with(extension, monkeypatch, tmp_path, recipe, **options):
    """Train a recipe with an extension that no plugin declares."""
    build = Context.build

    def build_or_take(context, component, path, **kwargs):
        if path.startswith("extensions["):
            return extension(SimpleNamespace(**options), context)
        return build(context, component, path, **kwargs)

    monkeypatch.setattr(Context, "build", build_or_take)
    overrides = [*SMALL, "algorithm.num_mini_batches=2", "algorithm.extensions=[{name: rnd}]"]
    return train(load_config(recipe, overrides), log_root=tmp_path, quiet=True)


@pytest.mark.parametrize("recipe", ["pendulum", "cartpole_memory"])
def test_augment_of_the_extensions_page_trains_on_rows_twice(recipe, monkeypatch, tmp_path):
    noisy = example_of("extensions.md", "Noisy")
    sizes = set()

    class Watched(noisy):
        def losses(self, batch, outputs):
            sizes.add((batch.num_original, len(batch)))
            return {}

    train_with(Watched, monkeypatch, tmp_path, recipe)
    assert sizes
    assert all(2 * original == rows for original, rows in sizes)


def test_sampler_of_the_extensions_page_trains(monkeypatch, tmp_path):
    expert = TensorDict({"obs": {"policy": torch.randn(9, 3)}, "actions": torch.zeros(9, 1)}, batch_size=[9])
    expert.memmap(tmp_path / "expert")
    imitation = example_of("extensions.md", "Imitation")
    result = train_with(imitation, monkeypatch, tmp_path, "pendulum", folder=tmp_path / "expert")
    assert result.metrics["Loss/imitation"] > 0.0


def test_env_example_trains_from_its_config(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    config = load_config(EXAMPLES / "reach.yaml", ["iterations=1", "loggers=[]"])
    policy = load_policy(train(config, log_root=tmp_path, quiet=True).path)
    assert set(policy.spec.observations) == {"policy", "privileged"}


def test_env_example_keeps_the_contract_that_the_page_shows(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    outcomes = run_contract(example_of("environments.md", "TestReach"), "state")
    assert [outcome.status for outcome in outcomes] == ["passed"] * 3


def test_env_example_that_forgets_its_target_breaks_the_contract(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    reach = importlib.import_module("reach")
    monkeypatch.setattr(reach.Reach, "state_dict", lambda env: {"point": env.point, "target": env.point})
    outcomes = run_contract(example_of("environments.md", "TestReach"), "goes_on_from_its_state")
    assert all("save what the next steps depend on in `state_dict`" in outcome.sentence for outcome in outcomes)


def test_mirror_example_trains(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    extension = "algorithm.extensions=[{name: symmetry, function: 'pendulum_mirror:mirror', use_mirror_loss: true}]"
    config = load_config("pendulum", [*SMALL, "algorithm.num_mini_batches=2", extension])
    assert train(config, log_root=tmp_path, quiet=True).metrics["Loss/symmetry"] >= 0.0


@pytest.mark.parametrize(
    ("network", "observations"), [(exporting.LSTM, exporting.VECTORS), (exporting.CNN, exporting.IMAGES)]
)
def test_robot_of_the_export_page_acts_as_the_policy_does(tmp_path, network, observations):
    run = exporting.save(tmp_path / "run", exporting.build(network, observations=observations))
    robot = example_of("export.md", "ExportedPolicy")(export_policy(run).path)
    policy = load_policy(run)
    assert robot.joints == ["hip", "knee"]
    for step in range(6):
        obs = {
            name: torch.rand(spec.shape).mul(9.0).to(getattr(torch, spec.dtype)) for name, spec in observations.items()
        }
        actions = robot({name: group.numpy() for name, group in obs.items()})
        expected = policy({name: group.unsqueeze(0) for name, group in obs.items()})[0]
        torch.testing.assert_close(torch.from_numpy(actions), expected, rtol=1e-5, atol=1e-5)
        if step == 3:
            robot.reset()
            policy.reset()
