"""rsl_rl's runners over rslcore, where a student learns from a teacher."""

from __future__ import annotations

import pytest
import torch
from agents import FIVE, RND, STUDENT
from comparing import assert_same, models_in, state_of

from rslcore.errors import CheckpointError, ConfigError
from rslcore.evaluation import load_policy
from rslcore_rsl_rl import DistillationRunner


@pytest.fixture
def teacher(make, tmp_path):
    """A checkpoint of what PPO has trained."""
    runner = make(FIVE, tmp_path / "teacher")
    runner.learn(1)
    return runner, tmp_path / "teacher" / "model_0.pt"


@pytest.mark.parametrize("kind", ["ours", "rsl_rl"])
def test_student_learns_from_a_checkpoint_of_ppo(kind, make, teacher, tmp_path):
    trained, path = teacher
    if kind == "rsl_rl":
        path = tmp_path / "model_7.pt"
        torch.save({**trained.alg.save(), "iter": 7, "infos": None}, path)
    runner = make(STUDENT, tmp_path / "student", runner=DistillationRunner)
    assert not runner.alg.teacher_loaded
    with pytest.raises(ValueError, match="there is no teacher yet: give `load` the checkpoint of a policy that PPO"):
        runner.learn(1)
    runner.load(str(path))
    assert runner.alg.teacher_loaded
    assert runner.current_learning_iteration == 0
    runner.learn(3)
    assert models_in(tmp_path / "student") == ["model_0.pt", "model_2.pt"]
    saved = torch.load(tmp_path / "student" / "model_2.pt", weights_only=True)
    theirs = trained.alg.save()["actor_state_dict"]
    assert_same({name: saved["teacher_state_dict"][name] for name in theirs}, theirs)
    for payload in (tmp_path / "student" / "model_2.pt", tmp_path / "as_rsl_rl.pt"):
        if not payload.exists():
            torch.save({**runner.alg.save(), "iter": 2, "infos": None}, payload)
        resumed = make(STUDENT, runner=DistillationRunner)
        resumed.load(payload)
        assert resumed.alg.teacher_loaded
        assert resumed.current_learning_iteration == 2
        assert_same(state_of(resumed), state_of(runner))
        resumed.learn(1)
    assert load_policy(tmp_path / "student")(runner.env.get_observations()).shape == (4, 2)


def test_policy_of_a_student_is_the_student(make, teacher):
    _, path = teacher
    runner = make(STUDENT, runner=DistillationRunner)
    runner.load(path)
    policy = runner.get_inference_policy()
    assert policy.network is runner.alg.core.policy.student
    assert runner.alg.policy.student(torch.zeros(1, 4)).shape == (1, 2)
    assert not hasattr(runner.alg.policy, "actor")


def test_teacher_that_does_not_fit_is_listed(make, teacher):
    _, path = teacher
    runner = make({**STUDENT, "teacher": {**STUDENT["teacher"], "hidden_dims": [9]}}, runner=DistillationRunner)
    with pytest.raises(CheckpointError, match=r"the teacher: .* does not fit this config:\n"):
        runner.load(path)
    assert not runner.alg.teacher_loaded


def test_dict_says_which_algorithm_a_runner_trains(make, teacher):
    _, path = teacher
    runner = make(STUDENT)
    runner.load(path)
    runner.learn(1)
    assert runner.alg.teacher_loaded
    with pytest.raises(ConfigError, match=r"algorithm.class_name: is PPO, which OnPolicyRunner trains"):
        make(FIVE, runner=DistillationRunner)


def test_student_and_teacher_refuse_what_is_for_ppo(make):
    cfg = {**STUDENT, "algorithm": {**STUDENT["algorithm"], "rnd_cfg": RND["algorithm"]["rnd_cfg"]}}
    with pytest.raises(ConfigError, match="algorithm.rnd_cfg: is for PPO; 'Distillation' of rsl_rl refuses it"):
        make(cfg, runner=DistillationRunner)
