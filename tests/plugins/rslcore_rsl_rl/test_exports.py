"""Files in the layout of rsl_rl's own."""

from __future__ import annotations

import warnings

import exporting
import onnxruntime
import pytest
import torch
from exporting import CNN, GRU, IMAGES, LSTM, TWO_GROUPS, VECTORS
from tensordict import TensorDict
from torch import nn

from rslcore.errors import ExportError
from rslcore.heads import LatentTap
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.exports import export_to_jit, export_to_onnx
from rslcore_rsl_rl.model import InferenceModel

IMAGE_ALONE = CNN | {"groups": ["depth"]}
CASES = {
    "mlp": (TWO_GROUPS, VECTORS, {"obs": [1, 5]}, {"actions": [1, 2]}),
    "lstm": (
        LSTM,
        VECTORS,
        {"obs": [1, 3], "h_in": [2, 1, 6], "c_in": [2, 1, 6]},
        {"actions": [1, 2], "h_out": [2, 1, 6], "c_out": [2, 1, 6]},
    ),
    "gru": (GRU, VECTORS, {"obs": [1, 3], "h_in": [1, 1, 5]}, {"actions": [1, 2], "h_out": [1, 1, 5]}),
    "cnn": (CNN, IMAGES, {"obs": [1, 3], "camera": [1, 3, 9, 8], "depth": [1, 1, 6, 7]}, {"actions": [1, 2]}),
    "image alone": (IMAGE_ALONE, IMAGES, {"obs": [1, 0], "depth": [1, 1, 6, 7]}, {"actions": [1, 2]}),
}


@pytest.fixture
def make():
    def build(name):
        network, observations, _, _ = CASES[name]
        algorithm, context = exporting.build(network, observations=observations)
        return InferenceModel(algorithm.policy, context)

    return build


@pytest.fixture
def act():
    """Let a model and something else act on the same rows, with resets, and compare."""

    def compare(model, run, reset):
        generator = torch.Generator().manual_seed(0)
        for step in range(12):
            rows = {
                name: torch.randint(0, 256, (1, *spec.shape), generator=generator).to(getattr(torch, spec.dtype))
                for name, spec in model.observations.items()
            }
            vectors = [rows[name] for name in model.obs_groups]
            obs = torch.cat(vectors, dim=-1) if vectors else torch.zeros(1, 0)
            images = [rows[name] for name in model.obs_groups_2d]
            actions = run(obs, images)
            torch.testing.assert_close(actions, model(TensorDict(rows, batch_size=[1])), rtol=1e-5, atol=1e-5)
            if step % 5 == 4:
                model.reset(torch.tensor([1]))
                reset()
        model.reset()

    return compare


def check_onnx(model, path, act, name):
    """An ONNX file has rsl_rl's inputs and outputs, and acts as the model does."""
    _, _, inputs, outputs = CASES[name]
    session = onnxruntime.InferenceSession(path)
    # What is not used is left out by some of torch's exporters.
    assert {value.name: value.shape for value in session.get_inputs()} == {
        k: v for k, v in inputs.items() if 0 not in v
    }
    assert {value.name: value.shape for value in session.get_outputs()} == outputs
    states = {}

    def reset():
        states.update({key: torch.zeros(shape).numpy() for key, shape in inputs.items() if key.endswith("_in")})

    def run(obs, images):
        given = {"obs": obs, **dict(zip(model.obs_groups_2d, images, strict=True))}
        given = {key: tensor.numpy() for key, tensor in given.items() if tensor.numel()}
        actions, *after = session.run(None, {**given, **states})
        states.update(zip(states, after, strict=True))
        return torch.from_numpy(actions)

    reset()
    act(model, run, reset)


@pytest.mark.parametrize("name", CASES)
def test_export_to_jit_acts_as_the_model_does(make, act, name, tmp_path):
    model = make(name)
    export_to_jit(model, tmp_path / "exported", "robot.pt")
    with pytest.warns(DeprecationWarning, match="torch.jit.load"):
        module = torch.jit.load(tmp_path / "exported" / "robot.pt")
    takes_images = bool(model.obs_groups_2d)
    act(model, lambda obs, images: module(obs, images) if takes_images else module(obs), module.reset)


@pytest.mark.parametrize("name", ["lstm", "cnn"])
def test_export_to_onnx_acts_as_the_model_does(make, act, name, tmp_path):
    model = make(name)
    export_to_onnx(model, str(tmp_path / "exported"))
    check_onnx(model, tmp_path / "exported" / "policy.onnx", act, name)


@pytest.mark.parametrize("name", CASES)
def test_module_is_exported_by_torchs_older_exporter(make, act, name, tmp_path):
    # As mjlab's own runner does.
    model = make(name)
    module = model.as_onnx(verbose=False)
    module.to("cpu")
    module.eval()
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            module,
            module.get_dummy_inputs(),
            str(tmp_path / "policy.onnx"),
            export_params=True,
            opset_version=18,
            verbose=False,
            input_names=module.input_names,
            output_names=module.output_names,
            dynamic_axes={},
            dynamo=False,
        )
    check_onnx(model, tmp_path / "policy.onnx", act, name)


def test_module_is_exported_by_torchs_exporter_inside_of_another_one(make, tmp_path):
    # As mjlab's motion tracking does, which adds the motion to the file.
    class Outer(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.policy = model.as_onnx(verbose=False)

        def forward(self, x, time_step):
            return self.policy(x), time_step + 1.0

    outer = Outer(make("mlp"))
    assert outer.policy.input_size == 5
    program = torch.export.export(outer, (torch.zeros(1, 5), torch.zeros(1, 1)))
    actions, _ = program.module()(torch.ones(1, 5), torch.zeros(1, 1))
    assert actions.shape == (1, 2)


def test_exports_are_copies(make):
    model = make("gru")
    module, jit = model.as_onnx(), model.as_jit()
    before = [tensor.clone() for tensor in (*module.state_dict().values(), *jit.state_dict().values())]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    after = (*module.state_dict().values(), *jit.state_dict().values())
    assert all(map(torch.equal, before, after))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_exports_leave_those_out_who_watch_the_live_policy(make):
    # An extension may look at the latent; what it holds on to cannot be copied, nor scripted.
    model = make("mlp")
    tap = LatentTap()
    tap.watch(model, "network")
    model(torch.zeros(1, 5))
    module = model.as_onnx()
    assert not module.network.output_layer._forward_pre_hooks
    model.as_jit()
    assert tap.take()["latent"].requires_grad


class Elman(nn.Module):
    """Remembers in a way of its own."""

    def __init__(self):
        super().__init__()
        self.groups = ("policy",)
        self.layer = nn.Linear(3, 2)

    def state_specs(self):
        return {"hidden": TensorSpec((1, 2))}

    def forward(self, obs, state, sequences):
        hidden = torch.tanh(self.layer(obs["policy"]).unsqueeze(1) + state["hidden"])
        return hidden.squeeze(1), {"hidden": hidden}


def test_network_that_remembers_in_another_way_is_refused():
    algorithm, context = exporting.build(GRU)
    algorithm.policy.actor = Elman()
    model = InferenceModel(algorithm.policy, context)
    assert model(torch.zeros(3, 3)).shape == (3, 2)
    assert model.get_hidden_state().shape == (1, 3, 2)
    message = "^rsl_rl's files know the states of LSTM and GRU, not those of Elman; use `rslcore export`$"
    for export in (model.as_onnx, model.as_jit):
        with pytest.raises(ExportError, match=message):
            export()


def test_export_to_where_nothing_can_be_written(make, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ExportError, match=r"policy\.pt' cannot be written: (File exists|Not a directory)$"):
        export_to_jit(make("gru"), tmp_path / "taken")
