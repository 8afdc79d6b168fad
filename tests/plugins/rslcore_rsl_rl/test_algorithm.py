"""rslcore's algorithms behind the methods of rsl_rl's: driven as rsl_rl's runner drives its own."""

from __future__ import annotations

import copy
import warnings

import pytest
import stand_ins
import torch
from agents import AGENTS, FIVE, RECURRENT, RND, STUDENT
from comparing import assert_same

from rslcore.errors import CheckpointError
from rslcore_rsl_rl import PPO, Distillation, OnPolicyRunner


def construct(cfg=FIVE, algorithm=PPO, env=None):
    env = env if env is not None else stand_ins.isaac_lab(4, "cpu", 1)
    # What rsl_rl hands over: with the name by which it has found the class.
    own = {**cfg, "algorithm": {**cfg["algorithm"], "class_name": f"rslcore_rsl_rl:{algorithm.__name__}"}}
    own["multi_gpu"] = None
    return algorithm.construct_algorithm(env.get_observations(), env, own, "cpu"), env


def iterate(algorithm, env, iterations=1, num_steps=8):
    """The loop of rsl_rl's runner."""
    obs = env.get_observations()
    for _ in range(iterations):
        with torch.inference_mode():
            for _ in range(num_steps):
                actions = algorithm.act(obs)
                obs, rewards, dones, extras = env.step(actions)
                algorithm.process_env_step(obs, rewards, dones, extras)
            algorithm.compute_returns(obs)
        losses = algorithm.update()
    return losses


@pytest.mark.parametrize("cfg", [FIVE, RECURRENT, RND], ids=["mlp", "lstm", "rnd"])
def test_loop_of_rsl_rl_learns_what_the_runner_learns(cfg):
    torch.manual_seed(1)
    algorithm, env = construct(cfg)
    runner = OnPolicyRunner(stand_ins.isaac_lab(4, "cpu", 1), {**cfg, "check_for_nan": True}, None, "cpu")
    runner.alg.load(algorithm.save(), None)
    runner.env.get_observations()  # noise is drawn as often
    torch.manual_seed(2)
    losses = iterate(algorithm, env, 2)
    torch.manual_seed(2)
    runner.learn(2)
    theirs = {key: value for key, value in runner.alg.save().items() if key != "iter"}
    assert_same({key: value for key, value in algorithm.save().items() if key != "iter"}, theirs)
    logged = runner._session.metrics
    assert losses == {name: logged[f"Loss/{name}"] for name in losses}
    assert set(losses) == {"value", "surrogate", "entropy", *(["rnd"] if cfg is RND else [])}
    assert algorithm.learning_rate == pytest.approx(logged["Loss/learning_rate"])
    assert algorithm.save()["iter"] == 1


def test_algorithm_is_constructed_in_training_mode_and_switches():
    algorithm, _ = construct()
    assert algorithm.actor.training
    assert algorithm.critic.training
    algorithm.eval_mode()
    assert not algorithm.get_policy().training
    assert not algorithm.critic.training
    algorithm.train_mode()
    assert algorithm.actor.network.training


def test_algorithm_shows_what_a_runner_logs():
    algorithm, env = construct()
    assert algorithm.learning_rate == pytest.approx(1e-3)
    assert algorithm.rnd is None
    assert algorithm.intrinsic_rewards is None
    torch.testing.assert_close(algorithm.get_policy().output_std.mean(), torch.tensor(0.8))
    iterate(algorithm, env)
    assert algorithm.get_policy().output_std.shape == (4, 2)  # of the actions that were drawn last
    assert algorithm.storage.observations()["policy"].shape == (32, 4)
    algorithm.broadcast_parameters()


def test_rewards_for_novelty_are_shown_step_by_step():
    algorithm, env = construct(RND)
    assert algorithm.rnd.weight == 0.5
    obs = env.get_observations()
    for step in range(3):
        obs, rewards, dones, extras = env.step(algorithm.act(obs))
        given = rewards.clone()
        algorithm.process_env_step(obs, rewards, dones, extras)
        assert algorithm.intrinsic_rewards.shape == (4,)
        assert (algorithm.intrinsic_rewards > 0.0).all()
        torch.testing.assert_close(
            algorithm.storage.column("rewards")[step], given + algorithm.intrinsic_rewards, rtol=0.0, atol=1e-6
        )


def test_save_and_load_are_inverse():
    algorithm, env = construct(RND)
    iterate(algorithm, env, 2)
    other, _ = construct(RND)
    assert other.load(copy.deepcopy(algorithm.save()), None, True)
    assert_same(other.save() | {"iter": 1}, algorithm.save())
    third, _ = construct(RND)
    before = copy.deepcopy(third.save())
    assert not third.load(algorithm.save(), {"actor": True, "rnd": True}, strict=True)
    assert_same(third.save()["actor_state_dict"], algorithm.save()["actor_state_dict"])
    assert_same(third.save()["rnd_state_dict"], algorithm.save()["rnd_state_dict"])
    assert_same(third.save()["critic_state_dict"], before["critic_state_dict"])


def test_distillation_waits_for_its_teacher():
    torch.manual_seed(1)
    trained, env = construct()
    iterate(trained, env)
    algorithm, env = construct(STUDENT, Distillation)
    assert not algorithm.teacher_loaded
    assert not algorithm.load({**trained.save(), "iter": 3, "infos": None}, None)
    assert algorithm.teacher_loaded
    losses = [iterate(algorithm, env)["behavior"] for _ in range(60)]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])  # a few iterations more or less are chance
    saved = algorithm.save()
    theirs = trained.save()["actor_state_dict"]
    assert_same({name: saved["teacher_state_dict"][name] for name in theirs}, theirs)
    other, _ = construct(STUDENT, Distillation)
    assert other.load({**saved, "infos": None}, None)
    assert_same(other.save() | {"iter": saved["iter"]}, saved)


def test_distillation_refuses_a_checkpoint_without_a_teacher():
    algorithm, _ = construct(STUDENT, Distillation)
    with pytest.raises(CheckpointError, match="the checkpoint holds neither a teacher nor an actor that could be one"):
        algorithm.load({"student_state_dict": {}, "iter": 0}, {"teacher": True})


# Names of rsl_rl 1 to 3


def test_old_policy_exports_as_legged_gym_does():
    cfg = AGENTS["legged_gym"]
    runner = OnPolicyRunner(stand_ins.legged_gym(4, "cpu", 1), cfg, None, "cpu")
    old = runner.alg.actor_critic
    assert not old.is_recurrent
    assert not hasattr(old, "memory_a")
    obs = torch.randn(3, 4)
    torch.testing.assert_close(old.act_inference(obs), old.actor(obs))
    with warnings.catch_warnings(action="ignore"):
        scripted = torch.jit.script(copy.deepcopy(old.actor).to("cpu"))
    torch.testing.assert_close(scripted(obs), runner.get_inference_policy("cpu")(obs))
    runner.learn(1)
    torch.testing.assert_close(old.act_inference(obs), old.actor(obs))


def test_old_policy_of_a_recurrent_actor_has_its_memory():
    algorithm, _ = construct({**RECURRENT, "actor": {**RECURRENT["actor"], "obs_normalization": False}})
    old = algorithm.policy
    assert old.is_recurrent
    obs = torch.randn(2, 4)
    memory = copy.deepcopy(old.memory_a.rnn)
    first = memory(obs.unsqueeze(0))
    torch.testing.assert_close(old.eval().to("cpu").act_inference(obs), old.actor(first[0].squeeze(0)))
    torch.testing.assert_close(old.memory_a.hidden_state, first[1])
    old.reset(torch.tensor([1, 0]))
    assert not old.memory_a.hidden_state[0][:, 0].any()
    assert old.memory_a.hidden_state[0][:, 1].any()


def test_old_policy_has_the_normalizer_of_isaac_lab_2():
    algorithm, env = construct()
    iterate(algorithm, env)
    algorithm.eval_mode()
    old = algorithm.policy
    obs = torch.randn(2, 4)
    torch.testing.assert_close(old.actor(old.actor_obs_normalizer(obs)), old.act_inference(obs))


class MyPPO(PPO):
    """Of a script's own."""


def test_subclass_of_a_script_is_constructed():
    algorithm, env = construct(algorithm=MyPPO)
    assert isinstance(algorithm, MyPPO)
    assert set(iterate(algorithm, env)) == {"value", "surrogate", "entropy"}


def test_learning_rate_may_be_set():
    algorithm, _ = construct({**FIVE, "algorithm": {**FIVE["algorithm"], "schedule": "fixed"}})
    algorithm.learning_rate = 3e-4
    assert algorithm.core.learning_rate.item() == pytest.approx(3e-4)


def test_standard_deviation_that_is_logged_is_that_of_the_latest_actions():
    given = {"class_name": "HeteroscedasticGaussianDistribution", "init_std": 0.8}
    algorithm, env = construct({**FIVE, "actor": {**FIVE["actor"], "distribution_cfg": given}})
    obs = env.get_observations()
    algorithm.act(obs)
    policy = algorithm.core.policy
    std = policy.distribution.params(policy.actor(obs))["std"]
    torch.testing.assert_close(algorithm.get_policy().output_std, std)
