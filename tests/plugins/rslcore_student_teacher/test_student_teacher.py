"""Where the teacher comes from, whether it fits, and that it travels with the student."""

from __future__ import annotations

import re
import shutil

import pytest
import torch
from damaging import rewrite

from rslcore import __version__
from rslcore.config import ExtensionComponent, config, evolve
from rslcore.errors import CheckpointError, ConfigError
from rslcore.evaluation import InferencePolicy, evaluate, load_policy
from rslcore.extension import Extension
from rslcore.registry import Entry, PluginRow, Registry, Source, default_registry
from rslcore.run.checkpoint import load_checkpoint
from rslcore.specs import TensorSpec
from rslcore.training import train

SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)
STUDENT = "{network: {name: mlp, hidden_dims: [8]}, distribution: {name: gaussian}}"


@config
class NoOptions:
    """Of an extension."""


class Clock(Extension):
    """Adds an observation group."""

    def observation_groups(self):
        return {"clock": TensorSpec((1,))}

    def before_act(self, obs):
        added = obs.clone(recurse=False)
        added["clock"] = obs["policy"][:, :1] * 2.0
        return added


@pytest.fixture
def registry():
    base = Registry.discover()
    entries = (Entry("extension", "clock", f"{__name__}:Clock", f"{__name__}:NoOptions", "", SOURCE),)
    return Registry([*base.plugins, PluginRow(SOURCE, "ok", "", entries)], base.manager)


def teacher_of(path, registry=None):
    """The teacher in a run's last checkpoint, which need not have a folder any more."""
    state = load_checkpoint(path / "model_2.pt").algorithm["modules"]["policy"]["module"]["_extra_state"]
    return InferencePolicy.from_state(state, torch.device("cpu"), registry or default_registry())


def error_of(config, **options):
    with pytest.raises(ConfigError) as caught:
        train(config, quiet=True, **options)
    return str(caught.value)


@pytest.mark.parametrize("place", ["run", "checkpoint", "experiment"])
@pytest.mark.parametrize("kind", ["mlp", "gru"])
def test_teacher_comes_from_a_run_a_checkpoint_or_an_experiment(
    pendulum_student, pendulum_teachers, tmp_path, place, kind
):
    run = pendulum_teachers[kind]
    path = {"run": run, "checkpoint": run / "model_2.pt", "experiment": run.parent}[place]
    result = train(pendulum_student(teacher=str(path)), log_root=tmp_path, quiet=True)
    expected, actual = load_policy(run), teacher_of(result.path)
    obs = {"policy": torch.randn(4, 2), "privileged": torch.randn(4, 1)}
    for _ in range(3):
        assert torch.equal(expected(obs), actual(obs))


def test_teacher_is_of_the_checkpoint_that_is_named(pendulum_student, pendulum_teachers, tmp_path):
    run = tmp_path / "teacher"
    shutil.copytree(pendulum_teachers["mlp"], run)
    payload = torch.load(run / "model_2.pt", weights_only=True)
    payload["iteration"] = 1
    for tensor in payload["algorithm"]["modules"]["policy"]["module"].values():
        tensor.mul_(0.5)
    rewrite(run / "model_1.pt", payload)
    results = {}
    for checkpoint in ("1", "2", "latest"):  # a number on the command line is an int
        config = pendulum_student(f"policy.teacher.checkpoint={checkpoint}", teacher=str(run))
        results[checkpoint] = teacher_of(train(config, log_root=tmp_path, quiet=True).path)
    obs = {"policy": torch.ones(1, 2), "privileged": torch.ones(1, 1)}
    assert torch.equal(results["1"](obs), load_policy(run, checkpoint=1)(obs))
    assert torch.equal(results["2"](obs), results["latest"](obs))
    assert not torch.equal(results["1"](obs), results["2"](obs))


def test_teacher_with_an_extension_that_adds_a_group_brings_it(small_config, pendulum_student, registry, tmp_path):
    overrides = ("policy.actor.network.groups=[policy,clock]", "algorithm.num_mini_batches=2")
    base = small_config(*overrides, recipe="pendulum")
    extensions = (ExtensionComponent("clock", NoOptions()),)
    teacher = evolve(
        base, algorithm=evolve(base.algorithm, config=evolve(base.algorithm.config, extensions=extensions))
    )
    run = train(teacher, log_root=tmp_path, quiet=True, registry=registry).path
    config = pendulum_student("env.groups={}", teacher=str(run))
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    obs = {"policy": torch.randn(4, 3)}
    assert torch.equal(teacher_of(result.path, registry)(obs), load_policy(run, registry=registry)(obs))


def test_distilled_student_can_be_a_teacher(pendulum_student, tmp_path):
    student = train(pendulum_student(), log_root=tmp_path, quiet=True).path
    pupil = train(pendulum_student(teacher=str(student)), log_root=tmp_path, quiet=True).path
    obs = {"policy": torch.randn(4, 2), "privileged": torch.randn(4, 1)}
    assert torch.equal(teacher_of(pupil)(obs), load_policy(student)(obs))


# The teacher travels with the student


@pytest.fixture
def orphan(pendulum_student, pendulum_teachers, tmp_path):
    """A student's run and its config; the teacher's folder is gone."""
    run = tmp_path / "teacher"
    shutil.copytree(pendulum_teachers["gru"], run)
    config = pendulum_student("algorithm.optimizer=adam", teacher=str(run))
    path = train(config, log_root=tmp_path, quiet=True).path
    shutil.rmtree(run)
    return path, config


def test_resume_without_the_teachers_folder_goes_on(orphan, pendulum_teachers):
    path, config = orphan
    result = train(evolve(config, iterations=3), resume=path, quiet=True)
    assert result.iteration == 3
    state = load_checkpoint(path / "model_3.pt").algorithm["modules"]["policy"]["module"]
    theirs = load_policy(pendulum_teachers["gru"]).state_dict()["algorithm"]["modules"]["policy"]["module"]
    ours = state["_extra_state"]["algorithm"]["modules"]["policy"]["module"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_evaluate_and_load_policy_without_the_teachers_folder(orphan):
    path, _ = orphan
    assert len(evaluate(path, episodes=1).returns) == 1
    policy = load_policy(path)
    weights = load_checkpoint(path / "model_2.pt").algorithm["modules"]["policy"]["module"]
    obs = torch.randn(5, 2)
    hidden = torch.nn.functional.elu(obs @ weights["student.layers.0.weight"].T + weights["student.layers.0.bias"])
    expected = hidden @ weights["student.layers.2.weight"].T + weights["student.layers.2.bias"]
    torch.testing.assert_close(policy({"policy": obs, "privileged": torch.zeros(5, 1)}), expected)


def test_new_run_without_the_teachers_folder_is_refused(orphan, tmp_path):
    _, config = orphan
    folder = tmp_path / "teacher"
    before = sorted(tmp_path.rglob("*"))
    message = error_of(config, log_root=tmp_path)
    assert message == f"policy.teacher.run: the teacher cannot be loaded: there is no run '{folder}'"
    assert sorted(tmp_path.rglob("*")) == before


def test_checkpoint_of_another_policy_is_refused(small_config, pendulum_student, pendulum_teachers, tmp_path):
    path = train(pendulum_student(), log_root=tmp_path, quiet=True).path
    other = small_config("iterations=3", recipe="pendulum")
    message = (
        "^the checkpoint does not fit this config: algorithm was 'distillation' and is 'ppo' now, "
        "policy was 'student_teacher' and is 'actor_critic' now$"
    )
    with pytest.raises(CheckpointError, match=message):
        train(other, resume=path, quiet=True)


# Teachers that do not fit


def test_teacher_of_a_missing_checkpoint_is_refused(pendulum_student, pendulum_teachers):
    run = pendulum_teachers["mlp"]
    message = error_of(pendulum_student("policy.teacher.checkpoint=9"))
    assert message == (
        f"policy.teacher.run: the teacher cannot be loaded: the run '{run}' has no checkpoint of iteration 9; it has 2"
    )


def test_teacher_whose_groups_and_actions_do_not_fit_lists_every_problem(pendulum_student, pendulum_teachers):
    # An env of two groups, which differ from the teacher's, and of one discrete action.
    config = pendulum_student(
        "env.id=CartPole-v1",
        "env.groups={policy: [0, 2, 3]}",
        "policy.student.distribution={name: categorical}",
        "algorithm.loss_type=log_likelihood",
    )
    start = f"  policy.teacher.run: the teacher '{pendulum_teachers['mlp']}' does not fit: "
    assert error_of(config).splitlines() == [
        "3 problems:",
        f"{start}it sees 'policy' as [2] float32, the env gives [3] float32",
        f"{start}it sees 'privileged', which the env does not have ('policy')",
        f"{start}its actions are 1 continuous in [-1.0] to [1.0], the env takes 1 discrete with 2 choices",
    ]


def test_teacher_whose_actions_have_other_bounds_is_refused(pendulum_student, pendulum_teachers):
    assert error_of(pendulum_student("env.rescale_actions=false")) == (
        f"policy.teacher.run: the teacher '{pendulum_teachers['mlp']}' does not fit: "
        "its actions are 1 continuous in [-1.0] to [1.0], the env takes 1 continuous in [-2.0] to [2.0]"
    )


def test_student_and_teacher_given_to_ppo_is_refused(pendulum_student):
    assert error_of(pendulum_student("algorithm={name: ppo}")) == (
        "policy.name: 'student_teacher' has no actor and critic, which algorithm 'ppo' needs"
    )


def test_student_that_reads_a_group_which_is_not_there_is_refused(pendulum_student):
    message = error_of(pendulum_student(student="{name: mlp, groups: [camera]}"))
    assert re.match(r"^policy\.student\.network\.groups\S*: .*'camera'", message)


def test_config_without_a_teacher_is_refused(small_config):
    with pytest.raises(ConfigError) as caught:
        small_config(f"policy={{name: student_teacher, student: {STUDENT}}}", recipe="pendulum")
    assert "policy.teacher: is missing and has no default" in str(caught.value)


@pytest.mark.parametrize("resumed", [False, True])
def test_teacher_whose_plugins_are_not_here_says_what_to_do(pendulum_student, pendulum_teachers, tmp_path, resumed):
    """From its own run, and from the checkpoint of a student that goes on."""
    teacher = tmp_path / "teacher"
    shutil.copytree(pendulum_teachers["mlp"], teacher)
    config = pendulum_student(teacher=str(teacher))
    problem = f"it came from rslcore 9.0, and {__version__} is installed; type `pip install 'rslcore>=9.0'`"
    if resumed:
        run = train(config, log_root=tmp_path, quiet=True).path
        path = run / "model_2.pt"
        payload = torch.load(path, weights_only=True)
        state = payload["algorithm"]["modules"]["policy"]["module"]["_extra_state"]
        state["made_with"].update(rslcore="9.0", plugins=[])
        rewrite(path, payload)
        message = f"a policy in the checkpoint does not go with the plugins that are here:\n  {problem}"
        with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
            train(evolve(config, iterations=3), resume=run, quiet=True)
    else:
        path = teacher / "model_2.pt"
        payload = torch.load(path, weights_only=True)
        payload["history"][0].update(rslcore="9.0", plugins=[])
        rewrite(path, payload)
        message = (
            f"policy.teacher.run: the teacher cannot be loaded: '{path}' does not go with the plugins that are here:\n"
            f"  {problem}"
        )
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            train(config, log_root=tmp_path, quiet=True)
