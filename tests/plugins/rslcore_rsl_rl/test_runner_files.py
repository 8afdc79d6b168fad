"""What rsl_rl's runner over rslcore saves and loads, as scripts and subclasses have it do."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import stand_ins
import torch
from agents import AGENTS, FIVE, RND
from comparing import assert_same, files_in, models_in, state_of

import rslcore
from rslcore.errors import CheckpointError, RunError
from rslcore.evaluation import load_policy
from rslcore_rsl_rl import OnPolicyRunner
from rslcore_rsl_rl.files import read_rsl_rl


@pytest.fixture(autouse=True)
def no_loggers(monkeypatch):
    """Which take longer than all else here."""
    monkeypatch.setattr("rslcore_rsl_rl.runner.build_loggers", lambda context: {})


# Saving and loading


@pytest.mark.parametrize("cfg", [FIVE, RND], ids=["mlp", "rnd"])
def test_next_update_after_loading_is_the_same(cfg, make, tmp_path):
    cfg = copy.deepcopy(cfg)
    cfg["obs_groups"]["critic"] = ["policy"]
    first = make(cfg, tmp_path, family="genesis")
    first.learn(3)
    second = OnPolicyRunner(copy.deepcopy(first.env), cfg)
    assert second.load(str(tmp_path / "model_2.pt")) is None
    assert second.current_learning_iteration == 2
    assert second.logger.tot_timesteps == 3 * 8 * 4
    assert_same(state_of(first), state_of(second))
    for runner in (first, second):
        torch.manual_seed(7)
        runner.learn(1)
    assert_same(state_of(first), state_of(second))


def test_loading_in_between_restores_everything(make, tmp_path):
    runner = make()
    runner.learn(2)
    for name in ("a", "b"):
        runner.save(str(tmp_path / f"{name}.pt"), infos={"name": name})
        saved = state_of(runner)
        runner.learn(2)
        assert runner.load(tmp_path / f"{name}.pt") == {"name": name}
        assert_same(saved, state_of(runner))
        assert runner.current_learning_iteration == 1


def test_load_cfg_chooses_what_is_loaded(make, tmp_path):
    trained = make(log_dir=tmp_path)
    trained.learn(3)
    runner = make()
    before = state_of(runner)
    runner.load(str(tmp_path / "model_2.pt"), load_cfg={"actor": True}, strict=True, map_location="cpu")
    after = runner.alg.save()
    assert_same(after["actor_state_dict"], trained.alg.save()["actor_state_dict"])
    for name in ("critic_state_dict", "optimizer_state_dict"):
        assert_same(after[name], before[name])
    assert runner.current_learning_iteration == 0
    runner.load(str(tmp_path / "model_2.pt"), load_cfg={"critic": True, "optimizer": True, "iteration": True})
    assert runner.current_learning_iteration == 2
    assert_same(state_of(runner), state_of(trained))


def test_load_cfg_with_an_unknown_part_is_an_error(make, tmp_path):
    runner = make()
    runner.save(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="a checkpoint has no parts 'actr'; did you mean 'actor'?"):
        runner.load(tmp_path / "a.pt", load_cfg={"actr": True})


@pytest.mark.parametrize("kind", ["ours", "rsl_rl"])
def test_load_lists_every_tensor_that_does_not_fit(kind, make, tmp_path):
    runner = make({**FIVE, "actor": {**FIVE["actor"], "hidden_dims": [9]}})
    runner.save(tmp_path / "a.pt")
    if kind == "rsl_rl":
        torch.save({**runner.alg.save(), "infos": None}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError) as raised:
        make().load(tmp_path / "a.pt")
    message = str(raised.value)
    assert all(message.count(name) for name in ("[9, 4]", "[8, 4]", "[2, 9]", "[2, 8]"))
    assert "critic" not in message


def test_load_that_is_not_strict_takes_what_is_there(make, tmp_path):
    plain = {**FIVE, "actor": {**FIVE["actor"], "obs_normalization": False}}
    trained = make(plain)
    trained.save(tmp_path / "a.pt")
    runner = make()
    with pytest.raises(CheckpointError, match="normalizer"):
        runner.load(tmp_path / "a.pt")
    runner.load(tmp_path / "a.pt", strict=False)
    theirs = trained.alg.save()["actor_state_dict"]
    loaded = runner.alg.save()["actor_state_dict"]
    assert_same({name: loaded[name] for name in theirs}, theirs)


def test_load_takes_a_file_of_rsl_rl(make, tmp_path):
    trained = make()
    trained.learn(3)
    torch.save({**trained.alg.save(), "iter": 149, "infos": {"a": 1}}, tmp_path / "model_149.pt")
    runner = make(log_dir=tmp_path / "run")
    assert runner.load(str(tmp_path / "model_149.pt")) == {"a": 1}
    assert runner.current_learning_iteration == 149
    assert_same(state_of(runner), state_of(trained))
    runner.learn(1)
    assert "model_150.pt" in files_in(tmp_path / "run")


def test_load_takes_a_checkpoint_of_a_run_of_rslcore(make, tmp_path):
    trained = make(log_dir=tmp_path)
    trained.learn(1)
    payload = torch.load(tmp_path / "model_0.pt", weights_only=True)
    plain = [key for key in payload if not (key.endswith("_state_dict") or key in ("iter", "infos"))]
    for load_cfg in (None, {"actor": True, "iteration": True}):
        runner = make()
        runner.alg.load({key: payload[key] for key in plain}, load_cfg)
        assert_same(runner.alg.save()["actor_state_dict"], trained.alg.save()["actor_state_dict"])


class Anything:
    """An object of a script's own."""


def test_infos_of_every_sort_come_back(make, tmp_path, caplog):
    runner = make()
    infos = {
        "tensor": torch.arange(3),
        "nested": {"list": [1, 2.5, None], "tuple": (True, "text")},
        "number": np.float32(0.5),
        "counter": np.int64(7),
        "array": np.eye(2, dtype=np.float32),
        "device": torch.device("cpu"),
    }
    runner.save(tmp_path / "a.pt", infos)
    loaded = runner.load(tmp_path / "a.pt")
    expected = {**infos, "number": 0.5, "counter": 7, "array": torch.eye(2)}
    assert [type(value) for value in loaded.values()] == [type(value) for value in expected.values()]
    torch.testing.assert_close(loaded.pop("tensor"), expected.pop("tensor"))
    torch.testing.assert_close(loaded.pop("array"), expected.pop("array"))
    assert loaded == expected
    assert not caplog.messages


def test_infos_that_are_no_plain_data_are_left_out(make, tmp_path, caplog):
    runner = make()
    runner.save(tmp_path / "a.pt", {"step": 3, "env": Anything(), "deep": {"f": lambda: 0}, "list": [1, Anything()]})
    assert runner.load(tmp_path / "a.pt") == {"step": 3, "deep": {}, "list": [1, None]}
    assert caplog.messages == [
        "rslcore_rsl_rl: the checkpoint is saved without infos['env'] (Anything), infos['deep']['f'] (function), "
        "infos['list'][1] (Anything)"
    ]


def test_load_executes_nothing(make, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({**make().alg.save(), "infos": Trap()}, tmp_path / "model_1.pt")
    with pytest.raises(CheckpointError, match="holds more than plain data and tensors .* write it anew without that"):
        make().load(tmp_path / "model_1.pt")
    assert not (tmp_path / "executed").exists()


def test_checkpoint_is_one_of_rslcore_and_one_of_rsl_rl(make, tmp_path):
    runner = make(log_dir=tmp_path)
    runner.learn(3)
    path = tmp_path / "model_2.pt"
    assert read_rsl_rl(path).iteration == 3
    own = runner.get_inference_policy()
    policy = load_policy(tmp_path)
    obs = runner.env.get_observations()
    torch.testing.assert_close(policy(obs), own(obs))
    assert set(torch.load(path, weights_only=True)["actor_state_dict"]) == {
        "obs_normalizer._mean",
        "obs_normalizer._var",
        "obs_normalizer._std",
        "obs_normalizer.count",
        "distribution.std_param",
        "mlp.0.weight",
        "mlp.0.bias",
        "mlp.2.weight",
        "mlp.2.bias",
    }


def test_policy_of_a_runner_loads_without_an_env(make, tmp_path):
    runner = make(log_dir=tmp_path)
    runner.learn(1)
    policy = rslcore.load_policy(tmp_path)
    obs = runner.env.get_observations()
    torch.testing.assert_close(policy(obs), runner.get_inference_policy()(obs))


# What can go wrong on disk


def test_folder_that_cannot_be_made_is_one_message(make, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"the run folder '.*/file/run' cannot be made: Not a directory"):
        make(log_dir=tmp_path / "file" / "run").learn(1)


def test_checkpoint_that_cannot_be_written_does_not_end_the_run(make, tmp_path, caplog):
    class Full(OnPolicyRunner):
        def save(self, path, infos=None):
            if self.current_learning_iteration < 4:
                raise OSError(28, "No space left on device")
            super().save(path, infos)

    runner = make(log_dir=tmp_path, runner=Full)
    runner.learn(5)
    assert models_in(tmp_path) == ["model_4.pt"]
    (message,) = [each for each in caplog.messages if "cannot be written" in each]
    assert "model_0.pt" in message


def test_last_checkpoint_that_cannot_be_written_is_an_error_at_the_end(make, tmp_path, monkeypatch):
    runner = make(log_dir=tmp_path)
    runner.learn(1)
    monkeypatch.setattr(runner, "save", lambda path: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CheckpointError, match="No space left on device"):
        runner.learn(2)
    assert runner.current_learning_iteration == 2


# Subclasses


class LikeMjlab(OnPolicyRunner):
    """As mjlab's runners: writes and reads files itself, exports whenever it saves, has an argument more."""

    def __init__(self, env, train_cfg, log_dir=None, device="cpu", registry_name=None):
        super().__init__(env, train_cfg, log_dir, device)
        self.registry_name = registry_name
        self.exported = []

    def save(self, path, infos=None):
        saved_dict = self.alg.save()
        saved_dict["iter"] = self.current_learning_iteration
        saved_dict["infos"] = {**(infos or {}), "env_state": {"common_step_counter": 12}}
        torch.save(saved_dict, path)
        if self.cfg["upload_model"]:
            self.logger.save_model(path, self.current_learning_iteration)
        self.export_policy_to_onnx(str(Path(path).parent), "run.onnx")

    def load(self, path, load_cfg=None, strict=True, map_location=None):
        loaded_dict = torch.load(path, map_location=map_location, weights_only=False)
        if self.alg.load(loaded_dict, load_cfg, strict):
            self.current_learning_iteration = loaded_dict["iter"]
        return loaded_dict["infos"]

    def export_policy_to_onnx(self, path, filename="policy.onnx", verbose=False):
        self.exported.append(filename)
        Path(path, filename).write_text(f"of iteration {self.current_learning_iteration}")


def test_subclass_as_mjlab_has_it_trains_and_plays(tmp_path, monkeypatch):
    env = stand_ins.mjlab(4, "cpu", 1)
    runner = LikeMjlab(env, AGENTS["mjlab"], str(tmp_path), "cpu", registry_name="motions")
    told = []
    monkeypatch.setattr(runner._session, "model_saved", lambda path: told.append(path.name))
    runner.learn(num_learning_iterations=3, init_at_random_ep_len=True)
    assert runner.registry_name == "motions"
    assert files_in(tmp_path) == ["config.yaml", "model_0.pt", "model_2.pt", "plugins.yaml", "run.onnx"]
    assert told == ["run.onnx", "model_0.pt", "run.onnx", "model_2.pt"]
    player = LikeMjlab(stand_ins.mjlab(4, "cpu", 1), AGENTS["mjlab"], device="cpu")
    infos = player.load(str(tmp_path / "model_2.pt"), load_cfg={"actor": True}, strict=True, map_location="cpu")
    assert infos == {"env_state": {"common_step_counter": 12}}
    obs = env.get_observations()
    torch.testing.assert_close(
        player.get_inference_policy(device="cpu")(obs), runner.get_inference_policy(device="cpu")(obs)
    )
    resumed = LikeMjlab(stand_ins.mjlab(4, "cpu", 1), AGENTS["mjlab"], str(tmp_path), "cpu")
    resumed.load(str(tmp_path / "model_2.pt"))
    assert resumed.current_learning_iteration == 2
    assert_same(state_of(resumed), state_of(runner))
    resumed.learn(1)
    assert "model_3.pt" in files_in(tmp_path)


def test_subclass_may_add_to_what_is_saved(tmp_path):
    class WithCounter(OnPolicyRunner):
        def save(self, path, infos=None):
            super().save(path, {**(infos or {}), "counter": self.env.unwrapped.num_observed})

    runner = WithCounter(stand_ins.isaac_lab(4, "cpu", 1), FIVE, tmp_path)
    runner.learn(1)
    assert runner.load(tmp_path / "model_0.pt")["counter"] > 8
