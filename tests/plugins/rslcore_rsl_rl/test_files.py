"""rsl_rl's checkpoints of all versions are read into one form; anything else is one clear error."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile

import numpy
import pytest
import rsl_rl_shapes as shapes
import torch
from damaging import write_hostile

from rslcore.errors import CheckpointError
from rslcore_rsl_rl.files import parse, read_rsl_rl


def write(payload, path):
    torch.save(payload, path)
    return path


def refused(path, message):
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        read_rsl_rl(path)


VERSIONS = {
    "1": lambda **options: shapes.one_dict(
        {name: shapes.five(**options)[f"{name}_state_dict"] for name in ("actor", "critic")}, normalizers=False
    ),
    "2.2": lambda **options: shapes.two("critic_obs_norm_state_dict", **options),
    "2.3": shapes.two,
    "3": shapes.three,
    "4": shapes.four,
    "5": shapes.five,
}


@pytest.mark.parametrize("options", [{}, {"rnn": "lstm"}, {"rnn": "gru", "std": "log_std_param"}], ids=str)
@pytest.mark.parametrize("version", VERSIONS)
def test_versions_are_read_alike(tmp_path, version, options):
    options = options | {"normalize": version != "1"}
    file = read_rsl_rl(write(VERSIONS[version](**options), tmp_path / "model_149.pt"))
    expected = shapes.five(**options)
    assert {*file.models} == {"actor", "critic"}
    for model, tensors in file.models.items():
        assert [*tensors] == [*expected[f"{model}_state_dict"]]
        torch.testing.assert_close(tensors, expected[f"{model}_state_dict"])
    moments = file.optimizers["policy"]
    assert (moments.fault, moments.learning_rate, file.iteration, file.infos, file.notes) == ("", 3e-4, 150, None, ())
    parameters = {f"{model}.{name}": value for model, state in file.models.items() for name, value in state.items()}
    assert {*moments.by_name} == {name for name in parameters if shapes.is_parameter(name)}
    for name, kept in moments.by_name.items():
        torch.testing.assert_close(kept["exp_avg"], 0.1 * parameters[name], msg=name)


@pytest.mark.parametrize("version", [3, 5])
def test_student_and_teacher(tmp_path, version):
    file = read_rsl_rl(write(shapes.student(version, rnn="gru"), tmp_path / "model_149.pt"))
    assert {*file.models} == {"student", "teacher"}
    torch.testing.assert_close(file.models["student"], shapes.model("student", rnn="gru", std="std_param"))
    torch.testing.assert_close(file.models["teacher"], shapes.model("teacher"))
    learning = {name: kept for name, kept in file.optimizers["policy"].by_name.items() if name.startswith("student.")}
    assert {*learning} == {f"student.{name}" for name in file.models["student"] if shapes.is_parameter(name)}
    for name, kept in learning.items():
        torch.testing.assert_close(kept["exp_avg"], 0.1 * file.models["student"][name.partition(".")[2]], msg=name)


def test_normalizers_beside_a_student():
    payload = shapes.one_dict(
        {"student": shapes.model("student"), "teacher": shapes.model("teacher")}, normalizers=False
    )
    payload["obs_norm_state_dict"] = shapes.normalizer_of(shapes.model("student"))
    payload["privileged_obs_norm_state_dict"] = shapes.normalizer_of(shapes.model("teacher"))
    file = parse(payload, "it")
    torch.testing.assert_close(file.models["student"], shapes.model("student"))
    torch.testing.assert_close(file.models["teacher"], shapes.model("teacher"))


def test_encoders_of_version_3():
    state = {
        "std": torch.ones(1),
        "actor_cnns.camera.0.weight": torch.ones(2, 1, 3, 3),
        "actor.0.weight": torch.ones(1, 9),
    }
    file = parse({"model_state_dict": state, "iter": 0, "infos": None}, "it")
    assert [*file.models["actor"]] == ["distribution.std_param", "mlp.0.weight", "cnns.camera.0.weight"]
    assert file.names["actor.cnns.camera.0.weight"] == "model_state_dict['actor_cnns.camera.0.weight']"


def test_compiled_models_have_prefixes():
    payload = shapes.five()
    for key in ("actor_state_dict", "critic_state_dict"):
        payload[key] = {f"_orig_mod.{name}": value for name, value in payload[key].items()}
    file = parse(payload, "it")
    assert [*file.models["actor"]] == [*shapes.model("actor", std="std_param")]
    assert file.optimizers["policy"].fault == ""


def test_rnd():
    rnd = {
        "predictor.0.weight": torch.ones(2, 3),
        "predictor.0.bias": torch.ones(2),
        "target.0.weight": torch.ones(2, 3),
    }
    optimizer = shapes.moments([rnd["predictor.0.weight"], rnd["predictor.0.bias"]])
    file = parse(shapes.five() | {"rnd_state_dict": rnd, "rnd_optimizer_state_dict": optimizer}, "it")
    assert file.models["rnd"] == rnd
    assert {*file.optimizers["rnd"].by_name} == {"rnd.predictor.0.weight", "rnd.predictor.0.bias"}


def test_what_nothing_here_has_a_use_for_is_noted():
    file = parse(shapes.five() | {"discriminator_state_dict": {}, "amp_normalizer": 3}, "it")
    assert file.notes == (
        "left out, since nothing here has a use for it: 'amp_normalizer', 'discriminator_state_dict'",
    )


def test_infos_are_kept():
    assert parse(shapes.five() | {"infos": {"env_state": {"steps": 5}}}, "it").infos == {"env_state": {"steps": 5}}


def test_file_that_holds_more_executes_nothing(tmp_path):
    path = tmp_path / "model_1.pt"
    write_hostile(path, tmp_path / "executed", "zip")
    with pytest.raises(
        CheckpointError, match=r"plain data and tensors \(builtins.getattr, pathlib.*\); it was not loaded"
    ):
        read_rsl_rl(path)
    assert not (tmp_path / "executed").exists()


def test_file_that_holds_numpy_says_how_to_write_it_plain(tmp_path):
    path = write(shapes.five() | {"infos": {"score": numpy.float64(3.0)}}, tmp_path / "model_149.pt")
    with pytest.raises(CheckpointError) as caught:
        read_rsl_rl(path)
    message = str(caught.value)
    assert message.startswith(f"'{path}' is damaged, or holds more than plain data and tensors (numpy")
    command = re.search(
        r"If you trust the file, write it anew without that, where it was made: `(python -c .*)`$", message
    )
    subprocess.run(command[1].replace("python", sys.executable, 1), shell=True, check=True)
    plain = read_rsl_rl(tmp_path / "model_149_plain.pt")
    assert (plain.infos, plain.iteration) == (None, 150)
    torch.testing.assert_close(plain.models["actor"], shapes.model("actor", std="std_param"))


def test_exported_policy_is_no_checkpoint(tmp_path):
    path = tmp_path / "policy.pt"  # what torch.jit writes has this file; making a whole one warns
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("policy/constants.pkl", b"")
    refused(
        path,
        f"'{path}' is a policy that was exported for inference (TorchScript), and no checkpoint; give a "
        "model_<iteration>.pt of the run that it was exported from",
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ([1, 2], "it holds no dict but a list"),
        (
            {"weights": torch.ones(2), "epoch": 3},
            "it holds 'epoch', 'weights', and neither an actor_state_dict, a student_state_dict nor a model_state_dict",
        ),
    ],
)
def test_files_of_others(tmp_path, payload, reason):
    path = write(payload, tmp_path / "model_1.pt")
    refused(path, f"'{path}' is no checkpoint of rsl_rl: {reason}")


def test_checkpoint_of_rslcore(tmp_path):
    path = write({"rslcore": "0.1.0", "schema": 3}, tmp_path / "model_1.pt")
    refused(path, f"'{path}' is a checkpoint of rslcore already; `rslcore eval` takes its run's folder")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iter": -3}, "'iter' should be the number of an iteration, it is -3"),
        ({"iter": "many"}, "'iter' should be the number of an iteration, it is 'many'"),
        ({"critic_state_dict": [1]}, "'critic_state_dict' should be a dict of tensors"),
        ({"critic_state_dict": {"mlp.0.weight": 3}}, "in 'critic_state_dict', no tensors are 'mlp.0.weight'"),
    ],
)
def test_damaged_content(tmp_path, change, reason):
    path = write(shapes.five() | change, tmp_path / "model_1.pt")
    refused(path, f"'{path}' is damaged: {reason}")


def test_truncated_file(tmp_path):
    path = write(shapes.five(), tmp_path / "model_1.pt")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match=f"^'{path}' is damaged, truncated or no checkpoint: "):
        read_rsl_rl(path)


def test_missing_file(tmp_path):
    path = tmp_path / "model_1.pt"
    refused(path, f"the checkpoint '{path}' cannot be read: No such file or directory")
