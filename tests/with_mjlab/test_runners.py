"""mjlab's runner and rslcore's take the same env and dict, and load each other's checkpoints."""

from __future__ import annotations

import onnxruntime
import pytest
import torch
from mjlab.rl import MjlabOnPolicyRunner
from tensordict import TensorDict

import rslcore_rsl_rl


def assert_same_actions(one, other):
    obs = {name: torch.randn(16, 5) for name in ("actor", "critic")}
    obs = TensorDict(obs, batch_size=[16])
    with torch.inference_mode():
        actions = [runner.get_inference_policy(device="cpu")(obs) for runner in (one, other)]
    torch.testing.assert_close(*actions, rtol=0, atol=1e-6)
    assert actions[0].std() > 0


RUNNERS = [rslcore_rsl_rl.OnPolicyRunner, MjlabOnPolicyRunner]


@pytest.mark.parametrize(("trained", "other"), [RUNNERS, RUNNERS[::-1]], ids=["of rslcore", "of mjlab"])
def test_checkpoint_acts_alike_and_is_gone_on_with(trained, other, env, agent, tmp_path):
    runner = trained(env, agent(), str(tmp_path / "one"), "cpu")
    runner.learn(2, init_at_random_ep_len=True)
    path = str(tmp_path / "one" / "model_1.pt")
    resumed = other(env, agent(), str(tmp_path / "two"), "cpu")
    resumed.load(path, load_cfg={"actor": True}, strict=True, map_location="cpu")
    assert resumed.current_learning_iteration == 0
    assert_same_actions(runner, resumed)
    resumed.load(path)
    assert resumed.current_learning_iteration == 1
    resumed.learn(1)
    (saved,) = (tmp_path / "two").glob("*.pt")
    assert saved.name == ("model_1.pt" if other is MjlabOnPolicyRunner else "model_2.pt")  # rsl_rl takes 1 twice


def test_env_state_of_mjlabs_checkpoints_is_plain_data(env, agent, tmp_path):
    theirs = MjlabOnPolicyRunner(env, agent(), str(tmp_path), "cpu")
    theirs.save(str(tmp_path / "model_0.pt"))
    infos = rslcore_rsl_rl.OnPolicyRunner(env, agent()).load(tmp_path / "model_0.pt")
    assert infos == {"env_state": {"common_step_counter": env.unwrapped.common_step_counter}}


def test_mjlabs_runner_trains_with_our_ppo(env, agent, tmp_path):
    runner = MjlabOnPolicyRunner(env, agent(class_name="rslcore_rsl_rl:PPO"), str(tmp_path), "cpu")
    assert isinstance(runner.alg, rslcore_rsl_rl.PPO)
    runner.learn(3, init_at_random_ep_len=True)
    assert runner.current_learning_iteration == 2
    stock = MjlabOnPolicyRunner(env, agent(), None, "cpu")
    stock.load(str(tmp_path / "model_2.pt"))
    assert_same_actions(runner, stock)


@pytest.mark.filterwarnings("ignore")  # the exporter that mjlab takes is an old one, and says so
def test_mjlabs_runner_exports_our_ppo(env, agent, tmp_path):
    runner = MjlabOnPolicyRunner(env, agent(class_name="rslcore_rsl_rl:PPO"), None, "cpu")
    runner.export_policy_to_onnx(str(tmp_path), "policy.onnx")
    obs = torch.randn(1, 5)
    (actions,) = onnxruntime.InferenceSession(tmp_path / "policy.onnx").run(None, {"obs": obs.numpy()})
    torch.testing.assert_close(torch.from_numpy(actions), runner.alg.actor(obs).detach(), rtol=0, atol=1e-6)
