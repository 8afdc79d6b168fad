"""Exported files act as the policy does, and say what they are."""

from __future__ import annotations

import hashlib
import json
import sys

import exporting
import numpy
import onnx
import onnxruntime
import pytest
import torch
from exporting import CHOICES, CNN, GRU, HINGES, IMAGES, LSTM, MLP, TWO_GROUPS

import rslcore
from rslcore.errors import ExportError, MissingExtraError, RunError
from rslcore.evaluation import load_policy
from rslcore.export import FORMATS, export_policy
from rslcore.export.formats import Format
from rslcore.export.programs import own_warnings_silenced
from rslcore.specs import TensorSpec

POLICIES = {
    "mlp": lambda: exporting.build(TWO_GROUPS),
    "lstm": lambda: exporting.build(LSTM),
    "gru": lambda: exporting.build(GRU),
    "cnn": lambda: exporting.build(CNN, observations=IMAGES),
    "categorical": lambda: exporting.build(MLP, {"name": "categorical"}, actions=CHOICES),
    "student": lambda: exporting.build_student(LSTM),
}
INPUTS = {
    "mlp": {"policy": (3,), "privileged": (2,)},
    "lstm": {"policy": (3,), "h_in": (2, 6), "c_in": (2, 6)},
    "gru": {"policy": (3,), "h_in": (1, 5)},
    "cnn": {"policy": (3,), "camera": (3, 9, 8), "depth": (1, 6, 7)},
    "categorical": {"policy": (3,)},
    "student": {"policy": (3,), "h_in": (2, 6), "c_in": (2, 6)},
}
OUTPUTS = {"lstm": ["actions", "h_out", "c_out"], "gru": ["actions", "h_out"], "student": ["actions", "h_out", "c_out"]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each policy."""
    folder = tmp_path_factory.mktemp("runs")
    return {name: exporting.save(folder / "walk" / name, build()) for name, build in POLICIES.items()}


@pytest.fixture(scope="module")
def files(runs):
    """The result of exporting each in every format, verified."""
    return {
        (name, format): export_policy(run, format=format, verify=True)
        for name, run in runs.items()
        for format in FORMATS
    }


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("format", FORMATS)
def test_export_has_named_inputs_and_agrees_with_the_policy(files, runs, name, format):
    result = files[name, format]
    assert result.path == runs[name] / "exported" / f"policy{FORMATS[format].suffix}"
    assert result.largest_difference <= 1e-6
    assert {name: spec.shape for name, spec in result.inputs.items()} == INPUTS[name]
    assert list(result.outputs) == OUTPUTS.get(name, ["actions"])
    assert result.outputs["actions"] == (TensorSpec((1,), "int64") if name == "categorical" else TensorSpec((2,)))


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("format", FORMATS)
def test_export_takes_any_number_of_rows(files, runs, name, format):
    result = files[name, format]
    run, policy = FORMATS[format].load(result.path.read_bytes()), load_policy(runs[name])
    for num_rows in (1, 3):
        generator = torch.Generator().manual_seed(num_rows)
        inputs = {
            name: torch.randint(0, 256, (num_rows, *spec.shape), generator=generator).to(getattr(torch, spec.dtype))
            for name, spec in result.inputs.items()
        }
        inputs |= {name: torch.zeros(num_rows, *result.inputs[name].shape) for name in inputs if name.endswith("_in")}
        for _ in range(2):
            actions, *after = run(inputs)
            torch.testing.assert_close(actions, policy(inputs), rtol=1e-5, atol=1e-5)
            inputs |= dict(zip([name for name in inputs if name.endswith("_in")], after, strict=True))


def test_export_onnx_calls_the_number_of_rows_by_its_name(files):
    session = onnxruntime.InferenceSession(files["lstm", "onnx"].path)
    shapes = {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}
    assert shapes == {
        "policy": ["N", 3],
        "h_in": ["N", 2, 6],
        "c_in": ["N", 2, 6],
        "actions": ["N", 2],
        "h_out": ["N", 2, 6],
        "c_out": ["N", 2, 6],
    }
    onnx.checker.check_model(onnx.load(files["cnn", "onnx"].path), full_check=True)


def test_export_holds_nothing_but_what_acts(files):
    # The critic has layers of 4, the actor none.
    weights = onnx.load(files["mlp", "onnx"].path).graph.initializer
    assert {tuple(weight.dims) for weight in weights if len(weight.dims) == 2} == {(2, 8), (8, 5)}


def metadata_of(path):
    """As a program without rslcore reads it."""
    names = ["observations", "actions", "states", "checkpoint", "made_with", "exported_with"]
    files = dict.fromkeys(names, "")
    if path.suffix == ".onnx":
        files = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        assert set(files) == set(names)
    elif path.suffix == ".pt2":
        torch.export.load(path, extra_files=files)
    else:
        with own_warnings_silenced():
            torch.jit.load(path, _extra_files=files)
    return {name: json.loads(text) for name, text in files.items()}


@pytest.mark.parametrize("format", FORMATS)
def test_export_says_what_it_is(files, runs, format):
    metadata = metadata_of(files["lstm", format].path)
    assert metadata["observations"] == {"policy": {"input": "policy", "shape": [3], "dtype": "float32"}}
    assert metadata["actions"] == {
        "output": "actions",
        "size": 2,
        "dtype": "float32",
        "names": ["hip", "knee"],
        "low": [-1.0, None],
        "high": [1.0, None],
        "num_choices": [],
    }
    assert metadata["states"] == [
        {"input": "h_in", "output": "h_out", "shape": [2, 6], "dtype": "float32"},
        {"input": "c_in", "output": "c_out", "shape": [2, 6], "dtype": "float32"},
    ]
    checkpoint = runs["lstm"] / "model_7.pt"
    assert metadata["checkpoint"] == {
        "run": "walk/lstm",
        "file": "model_7.pt",
        "iteration": 7,
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
    }
    made_with = {component for plugin in metadata["made_with"]["plugins"] for component in plugin["components"]}
    assert {"algorithm ppo", "network lstm", "distribution gaussian"} <= made_with
    assert metadata["exported_with"] == {"rslcore": rslcore.__version__, "torch": torch.__version__}


def test_export_of_choices_says_how_many(files):
    actions = metadata_of(files["categorical", "onnx"].path)["actions"]
    assert (actions["dtype"], actions["num_choices"], actions["low"]) == ("int64", [4], [])


def test_export_of_images_keeps_their_type(files):
    assert metadata_of(files["cnn", "onnx"].path)["observations"]["camera"] == {
        "input": "camera",
        "shape": [3, 9, 8],
        "dtype": "uint8",
    }


def test_export_has_operators_of_torch_only_where_products_are_large(tmp_path):
    run = exporting.save(tmp_path, exporting.build(MLP | {"hidden_dims": [8192], "activation": "tanh"}))
    path = export_policy(run, format="pt2", verify=True).path
    targets = {str(node.target) for node in torch.export.load(path).graph.nodes if node.op == "call_function"}
    assert all(target.startswith("aten.") for target in targets)


def test_export_names_inputs_that_no_program_would_take_otherwise(tmp_path):
    observations = {name: TensorSpec((1,)) for name in ("actions", "h_in", "head/imu", "3d", "lambda")}
    run = exporting.save(tmp_path, exporting.build(GRU | {"groups": list(observations)}, observations=observations))
    for format in FORMATS:
        result = export_policy(run, format=format, verify=True)
        assert list(result.inputs) == ["obs_actions", "obs_h_in", "head_imu", "obs_3d", "obs_lambda", "h_in"]
    assert metadata_of(result.path)["observations"]["head/imu"]["input"] == "head_imu"


def test_export_of_a_checkpoint_and_to_a_file(runs, tmp_path):
    result = export_policy(runs["gru"] / "model_7.pt", output=tmp_path / "robot" / "gru.pt")
    assert (result.format, result.largest_difference) == ("torchscript", None)
    assert [path.name for path in (tmp_path / "robot").iterdir()] == ["gru.pt"]
    assert export_policy(runs["gru"], format="torchscript", output=tmp_path / "gru.jit").path.is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"format": "onx"},
            r"^there is no format 'onx'; did you mean 'onnx'\? \(formats: 'onnx', 'pt2', 'torchscript'\)$",
        ),
        (
            {"output": "policy.tflite"},
            "^the suffix of 'policy.tflite' tells no format (those that do are '.onnx', '.pt', '.pt2'); name one: "
            "'onnx', 'pt2', 'torchscript'$".replace("(", r"\(").replace(")", r"\)"),
        ),
        (
            {"format": "onnx", "output": "policy.pt"},
            "^'policy.pt' has the suffix of torchscript and the format onnx; change one of the two$",
        ),
    ],
)
def test_export_of_an_unknown_format_is_refused(runs, arguments, message):
    with pytest.raises(ExportError, match=message):
        export_policy(runs["mlp"], **arguments)


def test_export_without_a_run(tmp_path):
    with pytest.raises(RunError, match="^there is no run "):
        export_policy(tmp_path / "nothing")


def test_export_to_where_nothing_can_be_written(runs, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ExportError, match=r"taken/policy\.pt' cannot be written: (File exists|Not a directory)$"):
        export_policy(runs["mlp"], output=tmp_path / "taken" / "policy.pt")


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_export_without_the_extra(runs, monkeypatch, tmp_path, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("rslcore.export.onnx_file.to_onnx", lambda *_: files)
    message = f"^ONNX files need {package}, which is not installed; type `pip install 'rslcore\\[onnx\\]'`$"
    with pytest.raises(MissingExtraError, match=message):
        export_policy(runs["mlp"], output=tmp_path / "policy.onnx", verify=True)
    assert list(tmp_path.iterdir()) == []


def with_format(monkeypatch, **changes):
    """TorchScript, with something changed."""
    original = FORMATS["torchscript"]
    changed = {"suffix": original.suffix, "write": original.write, "load": original.load} | changes
    monkeypatch.setitem(FORMATS, "torchscript", Format(**changed))


@pytest.mark.parametrize(
    ("wrong", "shown"), [(lambda rows: rows + 2e-5, "2.0e-05"), (lambda rows: rows * numpy.nan, "nan")]
)
def test_export_that_differs_is_not_written(runs, monkeypatch, tmp_path, wrong, shown):
    load = FORMATS["torchscript"].load

    def load_wrong(content):
        run = load(content)
        return lambda inputs: (wrong(run(inputs)[0]), *run(inputs)[1:])

    with_format(monkeypatch, load=load_wrong)
    before = tmp_path / "policy.pt"
    before.write_text("the one of before")
    message = (
        f"^what was exported is not what the policy does: over 300 steps, actions differ by up to {shown}, more than "
        "1e-05; nothing was written$"
    )
    with pytest.raises(ExportError, match=message.replace("+", r"\+")):
        export_policy(runs["gru"], output=before, verify=True)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.pt"]
    assert before.read_text() == "the one of before"


def test_export_verifies_what_is_remembered_and_forgotten(runs, monkeypatch, tmp_path):
    load = FORMATS["torchscript"].load

    def load_forgetful(content):
        run = load(content)
        return lambda inputs: (run({**inputs, "h_in": 0.0 * inputs["h_in"]})[0], *run(inputs)[1:])

    with_format(monkeypatch, load=load_forgetful)
    with pytest.raises(ExportError, match="^what was exported is not what the policy does"):
        export_policy(runs["gru"], output=tmp_path / "policy.pt", verify=True)


def test_export_that_torch_cannot_make_is_an_error(runs, monkeypatch, tmp_path):
    def write(step, metadata):
        raise RuntimeError("unsupported operator\nwith a long story")

    with_format(monkeypatch, write=write)
    message = (
        r"^torch cannot write this policy as torchscript \(RuntimeError: unsupported operator\); try another format$"
    )
    with pytest.raises(ExportError, match=message):
        export_policy(runs["gru"], output=tmp_path / "policy.pt")


def test_checkpoint_of_before_actions_had_names_still_fits():
    plain = exporting.build(MLP)[1].env_spec.to_dict()
    del plain["actions"]["names"]
    assert type(exporting.build(MLP)[1].env_spec).from_dict(plain).actions == HINGES
