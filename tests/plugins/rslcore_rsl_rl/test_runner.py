"""rsl_rl's runner over rslcore: how it learns, with the envs and dicts of all projects."""

from __future__ import annotations

import copy
import signal
import subprocess
import threading
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import rank_runs
import stand_ins
import torch
import yaml
from agents import AGENTS, FIVE, RECURRENT
from comparing import assert_same, files_in, models_in, state_of
from torch import nn

from rslcore.errors import ConfigError, EnvError, RunError
from rslcore.run.listeners import Listeners
from rslcore_rsl_rl import OnPolicyRunner

# Construction and learning


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_runner_trains_the_env_of_each_project_with_its_own_dict(family, tmp_path):
    cfg = copy.deepcopy(AGENTS[family])
    env = stand_ins.FAMILIES[family](4, "cpu", 1)
    runner = OnPolicyRunner(env, cfg, str(tmp_path), "cpu")
    before = state_of(runner)["actor_state_dict"]
    runner.learn(num_learning_iterations=3, init_at_random_ep_len=family != "playground")
    after = runner.alg.save()["actor_state_dict"]
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert cfg == AGENTS[family]
    assert runner.env is env
    assert files_in(tmp_path) == ["config.yaml", "model_0.pt", "model_2.pt", "plugins.yaml"]


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
@pytest.mark.parametrize("kind", [str, Path])
def test_runner_takes_devices_and_folders_of_every_kind(device, kind, tmp_path):
    runner = OnPolicyRunner(stand_ins.genesis(4, "cpu", 1), AGENTS["genesis"], kind(tmp_path / "a" / "b"), device)
    runner.learn(1)
    assert runner.device is device
    assert runner.logger.log_dir == str(tmp_path / "a" / "b")
    assert "model_0.pt" in files_in(tmp_path / "a" / "b")


def test_runner_without_a_folder_writes_and_prints_nothing(make, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    runner = make()
    runner.learn(2)
    assert runner.logger.log_dir is None
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_runner_keeps_a_copy_of_the_dict_with_keys_that_are_for_scripts(make):
    cfg = {**copy.deepcopy(FIVE), "upload_model": False, "my_own": {"key": [1]}}
    runner = make(cfg)
    assert runner.cfg == {**cfg, "multi_gpu": None}
    runner.cfg["my_own"]["key"].append(2)
    assert cfg["my_own"] == {"key": [1]}
    assert "multi_gpu" not in cfg


def test_runner_names_every_unknown_key_with_a_suggestion(make):
    cfg = copy.deepcopy(FIVE)
    cfg["algorithm"]["clip_parm"] = 0.1
    cfg["actor"]["hiden_dims"] = [8]
    with pytest.raises(ConfigError) as raised:
        make(cfg)
    message = str(raised.value)
    assert "algorithm.clip_parm: unknown key; did you mean 'clip_param'?" in message
    assert "actor.hiden_dims: unknown key; did you mean 'hidden_dims'?" in message


def test_runner_warns_of_arguments_of_other_runners(caplog):
    OnPolicyRunner(stand_ins.isaac_lab(4, "cpu", 1), FIVE, None, "cpu", registry_name="a", another=None)
    assert "rslcore_rsl_rl: the runner has no use for another, registry_name" in caplog.messages


def test_runner_numbers_iterations_and_files_as_rsl_rl_does(make, tmp_path):
    runner = make({**FIVE, "save_interval": 3}, tmp_path)
    assert runner.current_learning_iteration == 0
    runner.learn(5)
    assert runner.current_learning_iteration == 4
    assert models_in(tmp_path) == ["model_0.pt", "model_3.pt", "model_4.pt"]
    payload = torch.load(tmp_path / "model_4.pt", weights_only=True)
    assert (payload["iter"], payload["iteration"]) == (4, 5)


def test_second_learn_goes_on_with_the_next_iteration(make, tmp_path):
    runner = make({**FIVE, "save_interval": 3}, tmp_path)
    runner.learn(5)
    runner.learn(3)
    assert runner.current_learning_iteration == 7
    names = models_in(tmp_path)
    assert names == ["model_0.pt", "model_3.pt", "model_4.pt", "model_6.pt", "model_7.pt"]
    assert runner.logger.tot_timesteps == 8 * 8 * 4


def test_two_pieces_learn_what_one_does(make):
    # The env's observations carry noise, which it draws anew when it is asked for them between the pieces.
    whole, pieces = (make(AGENTS["genesis"], family="genesis") for _ in range(2))
    torch.manual_seed(2)
    whole.learn(4)
    torch.manual_seed(2)
    pieces.learn(1)
    pieces.learn(3)
    assert_same(whole.alg.save(), pieces.alg.save())


def test_two_runs_of_one_seed_are_the_same_and_of_another_one_not(make):
    states = []
    for seed in (3, 3, 4):
        runner = make(RECURRENT)
        torch.manual_seed(seed)
        runner.learn(2)
        states.append(runner.alg.save()["actor_state_dict"])
    assert_same(states[0], states[1])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_random_episode_lengths_need_a_buffer(make):
    with pytest.raises(ConfigError, match="env 'PlaygroundWrapper' has no `episode_length_buf`"):
        make(AGENTS["playground"], family="playground").learn(1, init_at_random_ep_len=True)


def test_random_episode_lengths_are_set(make):
    runner = make(num_envs=64)
    runner.learn(1, init_at_random_ep_len=True)
    assert runner.env.episode_length_buf.unique().numel() > 8


def test_learning_goes_on_after_an_evaluation(make, tmp_path):
    runner = make(log_dir=tmp_path)
    runner.learn(2)
    policy = runner.get_inference_policy()
    assert not policy.training
    obs = runner.env.get_observations()
    with torch.inference_mode():
        for _ in range(45):
            obs, *_ = runner.env.step(policy(obs))
    runner.train_mode()
    assert policy.network.training
    runner.eval_mode()
    runner.learn(2)
    assert policy.network.training
    assert runner.current_learning_iteration == 3


def test_numbers_that_are_not_finite_end_the_run(make):
    runner = make()
    runner.env.unwrapped.mass.position[1] = torch.nan
    with pytest.raises(RunError, match="'policy'"):
        runner.learn(1)


def test_numbers_that_are_not_finite_are_left_out_without_the_check(make, caplog):
    runner = make({**FIVE, "check_for_nan": False}, num_envs=8)
    runner.env.unwrapped.mass.position[1] = torch.nan
    runner.learn(1)
    for tensor in runner.alg.save()["actor_state_dict"].values():
        assert tensor.isfinite().all()


# Signals and ranks


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_signal_ends_the_run_after_its_iteration_with_a_checkpoint(number, raised, make, tmp_path):
    runner = make(log_dir=tmp_path)
    step, num_steps = runner.env.step, 0

    def step_and_signal(actions):
        nonlocal num_steps
        num_steps += 1
        if num_steps == 3 * 8 + 2:
            signal.raise_signal(number)
        return step(actions)

    runner.env.step = step_and_signal
    with pytest.raises(raised) as received:
        runner.learn(1000)
    if raised is SystemExit:
        assert received.value.code == 128 + signal.SIGTERM
    assert (num_steps, runner.current_learning_iteration) == (4 * 8, 3)
    assert "model_3.pt" in files_in(tmp_path)
    runner.learn(1)
    assert runner.current_learning_iteration == 4


def test_ranks_learn_one_policy(two_ranks, tmp_path):
    first, second = two_ranks.run(rank_runs.train, str(tmp_path), two_ranks.device)
    assert_same(first[:3], second[:3])
    assert_same(first[0], first[1])
    assert first[3] == ({"global_rank": 0, "local_rank": 0, "world_size": 2}, True, False, 3 * 8 * 4 * 2)
    assert second[3] == ({"global_rank": 1, "local_rank": 1, "world_size": 2}, True, True, 3 * 8 * 4 * 2)
    assert files_in(tmp_path) == [
        *("by_hand.pt", "config.yaml", "model_0.pt", "model_1.pt", "model_2.pt", "plugins.yaml")
    ]
    one, other = two_ranks.run(rank_runs.distill, str(tmp_path), two_ranks.device)
    assert_same(one, other)


def test_rank_with_the_gpu_of_another_one_is_an_error(two_ranks):
    assert two_ranks.run(rank_runs.take_wrong_device) == [
        f"device 'cuda:7' is not that of local rank {number}; give 'cuda:{number}'" for number in range(2)
    ]


# Acting and exporting


def test_inference_policy_is_always_the_same_and_follows_learning(make):
    runner = make()
    policy = runner.get_inference_policy("cpu")
    assert runner.get_inference_policy() is policy is runner.alg.get_policy()
    assert isinstance(policy, nn.Module)
    obs = runner.env.get_observations()
    before = policy(obs)
    assert before.shape == (4, 2)
    runner.learn(1)
    assert not torch.equal(policy(obs), before)


def test_inference_policy_of_legged_gym_takes_a_tensor(make):
    runner = make(AGENTS["legged_gym"], family="legged_gym")
    policy = runner.get_inference_policy("cpu")
    obs = runner.env.get_observations()
    assert policy(obs.detach()).shape == (4, 2)


def test_exported_policies_act_alike(make, tmp_path):
    runner = make(RECURRENT)
    runner.learn(1)
    runner.export_policy_to_jit(str(tmp_path / "exported"), filename="a.pt")
    runner.export_policy_to_onnx(str(tmp_path / "exported"))
    policy = runner.get_inference_policy()
    obs = {"policy": torch.randn(1, 4)}
    expected = policy(obs)
    with warnings.catch_warnings(action="ignore"):
        jit = torch.jit.load(tmp_path / "exported" / "a.pt")
    torch.testing.assert_close(jit(obs["policy"]), expected)
    session = onnxruntime.InferenceSession(tmp_path / "exported" / "policy.onnx")
    inputs = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs()}
    (actions, *_) = session.run(None, {**inputs, "obs": obs["policy"].numpy()})
    torch.testing.assert_close(torch.from_numpy(actions), expected, rtol=1e-5, atol=1e-5)


# The logger


def test_logger_shows_what_scripts_read(make, tmp_path):
    runner = make({**FIVE, "logger": "tensorboard"}, tmp_path, length=5)
    assert (runner.logger.tot_timesteps, runner.logger.tot_time, list(runner.logger.rewbuffer)) == (0, 0.0, [])
    runner.learn(2)
    assert runner.logger.tot_timesteps == 2 * 8 * 4
    assert runner.logger.tot_time > 0.0
    assert 0 < len(runner.logger.rewbuffer) == len(runner.logger.lenbuffer) <= 100
    assert set(runner.logger.lenbuffer) <= {1, 2, 3, 4, 5}
    assert runner.logger.logger_type == "tensorboard"
    assert not runner.logger.disable_logs
    assert list(tmp_path.glob("events.*"))


@pytest.mark.parametrize(
    ("logger", "name"),
    [(None, "tensorboard"), ("wandb", "wandb"), ({"class_name": "WandbLogWriter"}, "WandbLogWriter")],
)
def test_logger_type_is_what_the_dict_says(make, logger, name):
    cfg = FIVE if logger is None else {**FIVE, "logger": logger}
    assert make(cfg).logger.logger_type == name


def test_repositories_are_recorded(make, tmp_path):
    repository = tmp_path / "lab"
    (repository / "scripts").mkdir(parents=True)
    script = repository / "scripts" / "train.py"
    script.write_text("print(1)\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", repository, *command], check=True)
    script.write_text("print(2)\n")
    runner = make(log_dir=tmp_path / "run")
    runner.add_git_repo_to_log(str(script))
    assert runner.logger.git_status_repos == [str(script)]
    runner.learn(1)
    assert "+print(2)" in (tmp_path / "run" / "git" / "lab.diff").read_text()
    script.write_text("print(3)\n")
    runner.learn(1)
    assert "+print(3)" in (tmp_path / "run" / "git" / "lab_1.diff").read_text()


# What scripts do by the way


def test_runner_takes_a_dict_that_cannot_be_copied(make):
    lock = threading.Lock()
    runner = make({**copy.deepcopy(FIVE), "my_own": [lock]})
    assert runner.cfg["my_own"] == [lock]


def test_runner_set_to_the_iteration_that_it_is_at_begins_with_the_first_one(make, tmp_path):
    runner = make(log_dir=tmp_path)
    runner.current_learning_iteration = 0
    runner.learn(1)
    assert models_in(tmp_path) == ["model_0.pt"]
    runner.current_learning_iteration = 7
    runner.learn(1)
    assert runner.current_learning_iteration == 8


def test_runner_leaves_a_config_of_the_script_alone(make, tmp_path, caplog):
    (tmp_path / "config.yaml").write_text("mine: true")
    make(log_dir=tmp_path).learn(1)
    assert (tmp_path / "config.yaml").read_text() == "mine: true"
    path = tmp_path / "config.yaml"
    assert f"'{path}' is not rslcore's and stays; its own config is in the checkpoints" in caplog.messages


def test_runner_that_failed_amid_a_rollout_says_what_to_do(make, monkeypatch):
    runner = make()

    def fail(actions):
        raise RuntimeError("the simulator is gone")

    monkeypatch.setattr(runner.env, "step", fail)
    with pytest.raises(EnvError, match="the simulator is gone"):
        runner.learn(1)
    message = "an error has ended the last `learn`; make a new runner, and `load` a checkpoint"
    with pytest.raises(RunError, match=f"^{message}$"):
        runner.learn(1)


@pytest.mark.parametrize("same", [True, False])
def test_load_goes_on_with_what_loggers_have_of_the_run_in_its_own_folder_only(make, tmp_path, same, monkeypatch):
    runner = make(log_dir=tmp_path / "first")
    runner.learn(1)
    given = []
    monkeypatch.setattr(Listeners, "load_logger_states", lambda self, states: given.append(states))
    make(log_dir=tmp_path / ("first" if same else "second")).load(tmp_path / "first" / "model_0.pt")
    assert len(given) == same


def test_config_of_a_run_is_what_was_run(make, tmp_path):
    make(log_dir=tmp_path).learn(2, init_at_random_ep_len=True)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert (config["iterations"], config["device"]) == (2, "cpu")
    assert config["runner"]["init_at_random_ep_len"] is True


def test_runner_refuses_what_is_no_dict_and_no_iterations(make):
    with pytest.raises(TypeError, match="^train_cfg should be a dict, it is int$"):
        make(3)
    with pytest.raises(ValueError, match="^num_learning_iterations should be at least 1, it is -1$"):
        make().learn(-1)
