"""`InferenceModel` is to scripts what rsl_rl's models are: the same actions, memories, inputs, outputs and files."""

from __future__ import annotations

import warnings

import onnxruntime
import pytest
import torch
from parity import ours, theirs, weights
from parity.case import GRU, IMAGES, LSTM, MLP, Case
from parity.test_ppo import CNN
from tensordict import TensorDict

from rslcore.context import Context
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore_rsl_rl.exports import export_to_jit, export_to_onnx
from rslcore_rsl_rl.model import InferenceModel

BOTH = ["privileged", "policy"]
CASES = [
    Case(name="mlp", actor=MLP | {"normalize": True, "groups": BOTH}),
    Case(name="lstm", actor=LSTM | {"normalize": True, "rnn_num_layers": 2}),
    Case(name="gru", actor=GRU),
    Case(name="cnn", actor=CNN | {"normalize": True}, critic=MLP, observations=IMAGES),
    Case(name="beta", distribution={"name": "beta", "range": [-2.0, 1.0]}),
    Case(name="heteroscedastic", distribution={"name": "heteroscedastic_gaussian", "std_type": "log"}),
]
FILES = CASES[:4]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture(params=FILES, ids=lambda case: case.name)
def case_of_file(request):
    return request.param


def build(case):
    """Our model and rsl_rl's, with the same weights and statistics."""
    policy, model = ours.build_ppo(case).policy, theirs.build_ppo(case).actor
    normalizer = getattr(policy.actor, "normalizer", None)
    if normalizer is not None:
        normalizer.mean.normal_()
        normalizer.variance.uniform_(0.5, 2.0)
    weights.copy_to_theirs(weights.renamed_tensors(policy.actor, policy.distribution), model)
    spec = EnvSpec(1, {name: TensorSpec(shape) for name, shape in case.observations.items()}, ActionSpec(3))
    context = Context(default_registry(), None, torch.device("cpu"), 0, 1, spec=spec)
    return InferenceModel(policy, context).eval(), model.eval()


def observe(case, num_rows):
    groups = {name: torch.randn(num_rows, *shape) for name, shape in case.observations.items()}
    return TensorDict(groups, batch_size=[num_rows])


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@torch.inference_mode()
def test_actions_and_memories_agree_step_by_step(case):
    one, other = build(case)
    assert one.is_recurrent == other.is_recurrent
    assert (one.obs_groups, one.obs_dim) == (list(other.obs_groups), other.obs_dim)
    for step in range(12):
        obs = observe(case, 4)
        close(one(obs), other(obs))
        close(one.get_hidden_state(), other.get_hidden_state())
        dones = (torch.rand(4) < 0.3).long()
        one.reset(dones)
        other.reset(dones)
        if step == 6:
            one.reset()
            other.reset()
            assert one.get_hidden_state() is other.get_hidden_state() is None


@torch.inference_mode()
def test_what_was_drawn_is_described_alike(case):
    one, other = build(case)
    obs = observe(case, 4)
    one(obs, stochastic_output=True)
    other(obs, stochastic_output=True)
    close(one.output_mean, other.output_mean)
    close(one.output_std, other.output_std)
    if case.name != "beta":  # whose entropy is that of the stretched action here
        close(one.output_entropy, other.output_entropy)


@pytest.mark.parametrize("network", [LSTM, GRU], ids=["lstm", "gru"])
@torch.inference_mode()
def test_hidden_state_of_one_can_be_given_to_the_other(network):
    case = Case(name="", actor=network)
    one, other = build(case)
    assert type(one.rnn.rnn) is type(other.rnn.rnn)
    other(observe(case, 4))
    one.rnn.hidden_state = other.rnn.hidden_state
    obs = observe(case, 4)
    close(one(obs), other(obs))


@torch.no_grad()
def test_modules_for_onnx_agree(case_of_file):
    one, other = (model.as_onnx(verbose=False) for model in build(case_of_file))
    assert one.input_names == other.input_names
    assert one.output_names == other.output_names
    assert one.is_recurrent == getattr(other, "is_recurrent", False)
    if hasattr(other, "input_size"):
        assert one.input_size == other.input_size
    inputs = other.get_dummy_inputs()
    assert [each.shape for each in one.get_dummy_inputs()] == [each.shape for each in inputs]
    inputs = [torch.randn_like(each) for each in inputs]
    results = one(*inputs), other(*inputs)
    if one.is_recurrent:
        results = results[0], tuple(result for result in results[1] if result is not None)
    close(*results)


@torch.no_grad()
def test_torchscript_files_agree(case_of_file, tmp_path):
    one, other = build(case_of_file)
    export_to_jit(one, tmp_path)
    with warnings.catch_warnings(action="ignore"):
        modules = torch.jit.load(tmp_path / "policy.pt"), torch.jit.script(other.as_jit())
    first, second = (module.forward.schema for module in modules)
    assert [each.type for each in first.arguments[1:]] == [each.type for each in second.arguments[1:]]
    for step in range(6):
        obs = observe(case_of_file, 1)
        rows = torch.cat([obs[group] for group in one.obs_groups], dim=-1)
        inputs = (rows, [obs[group] for group in one.obs_groups_2d]) if one.obs_groups_2d else (rows,)
        close(*(module(*inputs) for module in modules))
        if step == 3:
            for module in modules:
                module.reset()


def test_onnx_files_agree(case_of_file, tmp_path):
    one, other = build(case_of_file)
    export_to_onnx(one, tmp_path)
    module = other.as_onnx(verbose=False)
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            module,
            module.get_dummy_inputs(),
            str(tmp_path / "theirs.onnx"),
            opset_version=18,
            input_names=module.input_names,
            output_names=module.output_names,
        )
    sessions = [onnxruntime.InferenceSession(tmp_path / name) for name in ("policy.onnx", "theirs.onnx")]
    first, second = ([(value.name, value.shape, value.type) for value in each.get_inputs()] for each in sessions)
    assert first == second
    first, second = ([(value.name, value.shape, value.type) for value in each.get_outputs()] for each in sessions)
    assert first == second
    inputs = {value.name: torch.randn(value.shape).numpy() for value in sessions[0].get_inputs()}
    for results in zip(*(session.run(None, inputs) for session in sessions), strict=True):
        close(*map(torch.from_numpy, results))
