"""Checkpoints of rsl_rl are gone on with here, and ours there: the same actions, the same updates."""

from __future__ import annotations

import pytest
import torch
from parity import ours, theirs
from parity.case import GAUSSIAN, GRU, IMAGES, LSTM, MLP, Case
from parity.comparison import check, default_precision
from parity.rollouts import script_rollouts
from parity.runs import compare_distillation, compare_ppo
from parity.test_extensions import NORMALIZED as RND
from parity.test_ppo import BATCH_NORM, BOTH, CNN
from rsl_rl.runners import DistillationRunner, OnPolicyRunner

from rslcore_rsl_rl.checkpoints import algorithm_state, read_rsl_rl, rsl_rl_state
from rslcore_rsl_rl.teacher import teacher_state

WITH_STATISTICS = {"actor": MLP | {"normalize": True}, "critic": MLP | {"groups": BOTH, "normalize": True}}

RESUMED = [
    Case(name="mlp, normalized, adaptive", **WITH_STATISTICS, algorithm={"schedule": "adaptive"}),
    Case(name="log std", distribution=GAUSSIAN | {"std_type": "log"}),
    Case(name="fixed std", distribution=GAUSSIAN | {"learn_std": False}),
    *(Case(name=name, algorithm={"optimizer": name}) for name in ("adamw", "sgd", "rmsprop")),
    Case(name="heteroscedastic", distribution={"name": "heteroscedastic_gaussian", "std_type": "log"}),
    Case(name="beta", distribution={"name": "beta", "range": [0.0, 1.0]}),
    Case(name="lstm, normalized", actor=LSTM | {"normalize": True}),
    Case(name="gru, two layers", actor=GRU | {"rnn_num_layers": 2}),
    Case(name="cnn, normalized", actor=CNN | {"normalize": True}, critic=CNN, observations=IMAGES),
    Case(name="rnd", algorithm={"extensions": [RND]}),
]
ACTING = [
    *RESUMED,
    Case(name="cnn, shared", actor=CNN, critic=CNN, share_encoders=True, observations=IMAGES),
    Case(name="cnn, batch norm", actor=BATCH_NORM, critic=BATCH_NORM, observations=IMAGES),
]
WINDOWS = {"gradient_length": 4}
STUDENTS = [
    Case(name="mlp", actor=WITH_STATISTICS["actor"], teacher=WITH_STATISTICS["critic"], algorithm=WINDOWS),
    Case(name="lstm", actor=LSTM, teacher=MLP | {"groups": BOTH}, algorithm=WINDOWS),
    Case(name="gru, recurrent teacher", actor=GRU, teacher=LSTM | {"groups": BOTH}, algorithm=WINDOWS),
]


def save_theirs(algorithm, path):
    """As rsl_rl's runners save, after iteration 2."""
    torch.save({**algorithm.save(), "iter": 2, "infos": {"curriculum": 0.5}}, path)
    return path


def save_ours(algorithm, path):
    torch.save(rsl_rl_state(algorithm.state_dict(), ours.config_of(algorithm), 3), path)
    return path


def learn_theirs(algorithm, model, rollout):
    """An update, so that statistics and moments are not those of the beginning."""
    with torch.inference_mode():
        actions = [model(obs, stochastic_output=True).clone() for obs in rollout.obs[:-1]]
        model.reset()
    theirs.collect(algorithm, model, rollout, actions)
    algorithm.update()


def learn_ours(algorithm, rollout):
    ours.collect(algorithm, rollout)
    algorithm.update(rollout.obs[-1])


def load_ours(algorithm, path):
    state, notes = algorithm_state(read_rsl_rl(path), algorithm.state_dict(), ours.config_of(algorithm))
    algorithm.load_state_dict(state)
    return notes


def assert_same_actions(one, model, rollout):
    """Over steps with ends of episodes."""
    one.eval_mode()
    model.eval()
    one.reset()
    model.reset()
    with torch.inference_mode():
        for t, obs in enumerate(rollout.obs[:-1]):
            torch.testing.assert_close(one.act_inference(obs), model(obs), rtol=0, atol=1e-6)
            dones = rollout.terminated[t] | rollout.truncated[t]
            one.reset(dones)
            model.reset(dones.long())
    one.reset()
    model.reset()


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
@pytest.mark.parametrize("case", ACTING, ids=lambda case: case.name)
def test_actions_of_their_checkpoint(case, tmp_path):
    torch.manual_seed(1)
    trained, one = theirs.build_ppo(case), ours.build_ppo(case)
    rollouts = script_rollouts(case, 2)
    learn_theirs(trained, trained.actor, rollouts[0])
    load_ours(one, save_theirs(trained, tmp_path / "model_2.pt"))
    assert_same_actions(one, trained.actor, rollouts[1])


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
@pytest.mark.parametrize("case", ACTING, ids=lambda case: case.name)
def test_actions_of_our_checkpoint_in_their_runner(case, tmp_path):
    torch.manual_seed(1)
    trained = ours.build_ppo(case)
    rollouts = script_rollouts(case, 2)
    learn_ours(trained, rollouts[0])
    path = save_ours(trained, tmp_path / "model_2.pt")
    runner = OnPolicyRunner(theirs.make_env(case), theirs.ppo_config(case))
    assert runner.load(path) is None
    assert runner.current_learning_iteration == 2
    assert runner.alg.learning_rate == pytest.approx(trained.learning_rate.item(), rel=1e-7)
    assert_same_actions(trained, runner.get_inference_policy(), rollouts[1])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("case", RESUMED, ids=lambda case: case.name)
def test_updates_after_their_checkpoint(case, precision, tmp_path, record_property):
    with default_precision(precision):
        torch.manual_seed(1)
        trained, one, other = theirs.build_ppo(case), ours.build_ppo(case), theirs.build_ppo(case)
        rollouts = script_rollouts(case, 3)
        learn_theirs(trained, trained.actor, rollouts[0])
        path = save_theirs(trained, tmp_path / "model_2.pt")
        other.load(torch.load(path), None, strict=True)
        load_ours(one, path)
        check(compare_ppo(one, other, rollouts[1:]), record_property)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("case", RESUMED, ids=lambda case: case.name)
def test_updates_after_our_checkpoint(case, precision, tmp_path, record_property):
    with default_precision(precision):
        torch.manual_seed(1)
        trained, one, other = ours.build_ppo(case), ours.build_ppo(case), theirs.build_ppo(case)
        rollouts = script_rollouts(case, 3)
        learn_ours(trained, rollouts[0])
        one.load_state_dict(trained.state_dict())
        for extension in one.extensions.extensions:  # rsl_rl counts from 0 again
            extension.load_state_dict({"steps": 0})
        other.load(torch.load(save_ours(trained, tmp_path / "model_2.pt"), weights_only=True), None, strict=True)
        check(compare_ppo(one, other, rollouts[1:]), record_property)


def test_their_checkpoint_and_back_is_the_same(tmp_path):
    case = Case(name="", **WITH_STATISTICS, algorithm={"extensions": [RND]})
    trained, one = theirs.build_ppo(case), ours.build_ppo(case)
    learn_theirs(trained, trained.actor, script_rollouts(case, 1)[0])
    load_ours(one, save_theirs(trained, tmp_path / "model_2.pt"))
    before = torch.load(tmp_path / "model_2.pt")
    after = rsl_rl_state(one.state_dict(), ours.config_of(one), 3, before["infos"])
    torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-9)
    assert [*after["actor_state_dict"]] == [*before["actor_state_dict"]]
    assert after["rnd_state_dict"].keys() == before["rnd_state_dict"].keys()


@pytest.mark.parametrize("case", STUDENTS, ids=lambda case: case.name)
def test_students_both_ways(case, tmp_path, monkeypatch, record_property):
    torch.manual_seed(1)
    rollouts = script_rollouts(case, 3)
    trained = theirs.build_distillation(case)
    trained.teacher_loaded = True
    learn_theirs(trained, trained.student, rollouts[0])
    file = read_rsl_rl(save_theirs(trained, tmp_path / "model_2.pt"))

    teacher = ours.build_teacher(case)
    one = ours.build_distillation(case, teacher, monkeypatch)
    context = one.extensions._context
    state, notes = algorithm_state(
        file,
        one.state_dict(),
        ours.config_of(one),
        teacher=teacher_state(file, without_env(ours.config_of(teacher)), context),
    )
    one.load_state_dict(state)
    assert notes == ()
    assert_same_actions(one, trained.student, rollouts[1])

    path = save_ours(one, tmp_path / "model_back.pt")
    before, after = torch.load(tmp_path / "model_2.pt"), torch.load(path)
    # Nothing steps the standard deviation of a student. Of that, rsl_rl has no moments, and ours are zeros.
    assert not any(
        moment.any() for name, moment in after["optimizer_state_dict"]["state"].pop(0).items() if name != "step"
    )
    torch.testing.assert_close(after, before | {"infos": None})
    runner = DistillationRunner(theirs.make_env(case), theirs.distillation_config(case))
    runner.load(path)
    one.train_mode()
    runner.alg.train_mode()
    for rollout in rollouts[1:]:  # rsl_rl's teacher forgets at every update; see test_deviations
        rollout.terminated[-1], rollout.truncated[-1] = True, False
    check(compare_distillation(one, runner.alg, rollouts[1:]), record_property)


def test_teacher_of_their_ppo(tmp_path, monkeypatch):
    case = STUDENTS[2]
    torch.manual_seed(1)
    rollouts = script_rollouts(case, 2)
    ppo = Case(name="", actor=case.teacher, critic=case.teacher)
    trained = theirs.build_ppo(ppo)
    learn_theirs(trained, trained.actor, rollouts[0])
    file = read_rsl_rl(save_theirs(trained, tmp_path / "model_2.pt"))
    fresh = ours.build_teacher(case)
    one = ours.build_distillation(case, fresh, monkeypatch)
    teacher = teacher_state(file, without_env(ours.config_of(fresh)), one.extensions._context)
    before = one.state_dict()
    state, notes = algorithm_state(file, before, ours.config_of(one), teacher=teacher)
    one.load_state_dict(state)
    assert notes == ()
    student = {key: tensor for key, tensor in one.policy.state_dict().items() if key.startswith("student")}
    torch.testing.assert_close(student, {key: before["modules"]["policy"]["module"][key] for key in student})
    trained.actor.eval()
    trained.actor.reset()
    with torch.inference_mode():
        for obs in rollouts[1].obs:
            torch.testing.assert_close(one.policy.teacher_actions(obs), trained.actor(obs), rtol=0, atol=1e-6)


def without_env(config):
    return {key: value for key, value in config.items() if key != "env"}
