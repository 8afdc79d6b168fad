"""What can be exported, and what cannot."""

from __future__ import annotations

from types import SimpleNamespace

import exporting
import pytest
import torch
from distilling import NoOptions
from exporting import MLP
from torch import nn

from rslcore.errors import ExportError
from rslcore.evaluation import InferencePolicy
from rslcore.export import PolicyStep, export_policy
from rslcore.extension import Extension
from rslcore.extension_list import ExtensionList
from rslcore.registry import Entry, PluginRow, Registry, Source
from rslcore.specs import TensorSpec

SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)
SEES_LATENT = MLP | {"groups": ["policy", "latent"]}


class Encoder(Extension):
    """Adds a group that follows from the observations alone."""

    def __init__(self, config, context):
        super().__init__(config, context)
        self.network = nn.Linear(3, 2)

    def observation_groups(self):
        return {"latent": TensorSpec((2,))}

    def bind(self, bindings):
        bindings.modules.register(bindings.name, self.network)

    def before_act(self, obs):
        seen = obs.copy()
        seen["latent"] = self.network(obs["policy"])
        return seen


class Counter(Encoder):
    """Adds something that nothing but itself knows."""

    num_calls = 0

    def before_act(self, obs):
        seen = obs.copy()
        seen["latent"] = torch.full((len(obs), 2), float(self.num_calls))
        self.num_calls += 1
        return seen


class Follower(Encoder):
    """Says that it remembers actions."""

    def after_act(self, obs, actions):
        pass


@pytest.fixture(scope="module")
def registry():
    base = Registry.discover()
    entries = tuple(
        Entry("extension", cls.__name__.lower(), f"{__name__}:{cls.__name__}", f"{__name__}:NoOptions", "", SOURCE)
        for cls in (Encoder, Counter, Follower)
    )
    assert NoOptions
    return Registry([*base.plugins, PluginRow(SOURCE, "ok", "", entries)], base.manager)


@pytest.fixture
def run(registry, tmp_path):
    """A run with extensions."""

    def make(*names, network=SEES_LATENT):
        built = exporting.build(network, registry=registry, extensions=[{"name": name} for name in names])
        return exporting.save(tmp_path / "run", built)

    return make


@pytest.mark.parametrize("format", ["onnx", "pt2", "torchscript"])
def test_extension_that_only_looks_at_observations_is_exported(run, registry, format):
    result = export_policy(run("encoder"), format=format, verify=True, registry=registry)
    assert list(result.inputs) == ["policy"]


def test_extensions_that_remember_are_all_named(run, registry):
    sees = MLP | {"groups": ["policy", "latent", "estimate"]}
    message = (
        "^the policy cannot be exported: what it sees is changed by extensions that may remember the episode: "
        r"'follower' \(by its `after_act`\), 'estimator' \(by its `reset`\); a file has inputs and outputs for the "
        "memory of networks only. "
    )
    with pytest.raises(ExportError, match=message):
        export_policy(run("follower", "estimator", network=sees), registry=registry)


def test_extension_that_remembers_without_a_word_is_found_out(run, registry, tmp_path):
    message = (
        r"^the policy cannot be exported: its actions differ by up to [0-9.e+-]+ from those that its networks give for "
        "the same observations and states; its algorithm or an extension adds something, at random or by what "
        "it remembers$"
    )
    with pytest.raises(ExportError, match=message):
        export_policy(run("counter"), registry=registry)
    assert not (tmp_path / "run" / "exported").exists()


def test_algorithm_that_does_not_say_what_acts_cannot_be_exported():
    algorithm, context = exporting.build(MLP)

    class Opaque:
        act_inference, reset = algorithm.act_inference, algorithm.reset

    message = (
        r"^the policy cannot be exported: its algorithm \(Opaque\) has no `policy` and `extensions` by which alone it "
        r"acts \(rslcore\.protocols\.ExportableAlgorithm\)$"
    )
    with pytest.raises(ExportError, match=message):
        PolicyStep(InferencePolicy(Opaque(), context))


class TwoMemories(nn.Module):
    """Two networks remember, one of them in two parts."""

    def state_specs(self):
        spec = TensorSpec((1, 2))
        return {"gait": {"hidden": spec}, "terrain": {"hidden": spec, "map": spec}, "critic": {"hidden": spec}}

    def act_inference(self, obs, states):
        gait, terrain = states["gait"], states["terrain"]
        after = {"gait": gait, "terrain": {"hidden": terrain["hidden"], "map": terrain["map"] + gait["hidden"]}}
        return obs["policy"][:, :2] + terrain["map"].sum(-1), after


def test_states_of_several_networks_are_named_after_them():
    algorithm, context = exporting.build(MLP)
    acting = algorithm.__class__.__new__(algorithm.__class__)
    acting.__dict__ |= vars(algorithm) | {"policy": TwoMemories(), "extensions": ExtensionList((), context)}
    acting._inference = SimpleNamespace(act=lambda obs: obs["policy"][:, :2], reset=lambda dones: None)
    step = PolicyStep(InferencePolicy(acting, context))
    assert list(step.inputs) == ["policy", "gait_h_in", "terrain_h_in", "terrain_map_in"]
    assert list(step.outputs) == ["actions", "gait_h_out", "terrain_h_out", "terrain_map_out"]
    actions, *after = step(**{name: rows + 1.0 for name, rows in step.zeros(1).items()})
    assert actions.tolist() == [[3.0, 3.0]]
    assert [part.flatten().tolist() for part in after] == [[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]]
