"""`rslcore export`, called in this process."""

from __future__ import annotations

import json
import re

import exporting
import onnxruntime
import pytest
from exporting import GRU, MLP


@pytest.fixture
def run(tmp_path):
    return exporting.save(tmp_path / "walk" / "run", exporting.build(GRU))


def test_export_writes_verifies_and_says_what_it_has_written(rslcore, run):
    code, out, err = rslcore("export", run, "--verify")
    assert (code, err) == (0, "")
    path = run / "exported" / "policy.onnx"
    head, *table, verified = out.splitlines()
    assert head == f"{run / 'model_7.pt'} as onnx: {path}"
    rows = [line.split() for line in table if line]
    assert rows[2:] == [
        ["input", "policy", "[N,", "3]", "float32"],
        ["input", "h_in", "[N,", "1,", "5]", "float32"],
        ["output", "actions", "[N,", "2]", "float32"],
        ["output", "h_out", "[N,", "1,", "5]", "float32"],
    ]
    assert re.fullmatch(r"verified over 300 steps: actions differ by at most \d\.\de-0[78]", verified)
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["checkpoint"])["iteration"] == 7


@pytest.mark.parametrize(("format", "name"), [("pt2", "policy.pt2"), ("torchscript", "policy.pt")])
def test_export_in_another_format(rslcore, run, format, name):
    code, out, _ = rslcore("export", run.parent / "run" / "model_7.pt", "--format", format)
    assert code == 0
    assert out.startswith(f"{run / 'model_7.pt'} as {format}: {run / 'exported' / name}\n")
    assert "verified" not in out


def test_export_to_a_file(rslcore, run, tmp_path):
    code, _, _ = rslcore("export", run, "--checkpoint", 7, "-o", tmp_path / "robot" / "walk.pt")
    assert code == 0
    assert (tmp_path / "robot" / "walk.pt").is_file()


def test_export_of_what_cannot_be_exported(rslcore, tmp_path):
    network = MLP | {"groups": ["policy", "estimate"]}
    run = exporting.save(tmp_path, exporting.build(network, extensions=[{"name": "estimator"}]))
    code, out, err = rslcore("export", run)
    assert (code, out) == (2, "")
    assert err == (
        "error: the policy cannot be exported: what it sees is changed by extensions that may remember the episode: "
        "'estimator' (by its `reset`); a file has inputs and outputs for the memory of networks only. Train a "
        "recurrent network (lstm, gru) in its place, or distill a student that sees the env's own observations\n"
    )
    assert not (run / "exported").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "error: there is no run 'nowhere'"),
        (["RUN", "--checkpoint", "9"], "has no checkpoint of iteration 9; it has 7\n"),
        (["RUN", "--format", "pt"], "error: there is no format 'pt'; did you mean 'pt2'? (formats: "),
        (["RUN", "-o", "policy.jit"], "error: the suffix of 'policy.jit' tells no format (those that do are "),
    ],
)
def test_export_refuses_what_is_wrong(rslcore, run, arguments, message):
    code, out, err = rslcore("export", *(run if argument == "RUN" else argument for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
