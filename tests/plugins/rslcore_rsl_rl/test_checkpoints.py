"""The state of an algorithm of ours from a file of rsl_rl's, and back, in memory."""

from __future__ import annotations

import re

import attrs
import pytest
import rsl_rl_shapes as shapes
import torch

from rslcore.config import ExperimentConfig, structure, unstructure
from rslcore.context import Context
from rslcore.errors import CheckpointError
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.testing.values import difference
from rslcore.training import build_algorithm
from rslcore_rsl_rl.checkpoints import algorithm_state, default_parts, from_dict, left_out, rsl_rl_state
from rslcore_rsl_rl.teacher import teacher_state

SPEC = EnvSpec(4, {"policy": TensorSpec((2,)), "privileged": TensorSpec((1,))}, ActionSpec(1, low=(-1.0,), high=(1.0,)))
RND = {"name": "rnd", "groups": ["policy"], "num_outputs": 2, "predictor_hidden_dims": [3], "target_hidden_dims": [3]}


def network(**options):
    return {"name": "mlp", "hidden_dims": [4, 5], "normalize": True} | options


def make_config(algorithm=None, actor=None, distribution=None, policy=None):
    """The config of the networks that are in the files; complete, as a checkpoint has it."""
    actor_critic = {
        "name": "actor_critic",
        "actor": {"network": network(**(actor or {})), "distribution": distribution or {"name": "gaussian"}},
        "critic": {"network": network(groups=["policy", "privileged"])},
    }
    plain = {
        "env": {"name": "gymnasium", "id": "CartPole-v1", "num_envs": 4},  # never built
        "runner": {"name": "on_policy", "num_steps_per_env": 8},
        "policy": policy or actor_critic,
        "algorithm": {"name": "ppo"} | (algorithm or {}),
        "storage": {"name": "rollout"},
    }
    return structure(plain, ExperimentConfig, default_registry())


def make_context(config):
    return Context(default_registry(), config, torch.device("cpu"), 0, 8, spec=SPEC, restoring=True)


def build(**options):
    """An algorithm, and its config as plain data."""
    config = make_config(**options)
    return build_algorithm(make_context(config)), unstructure(config)


def student_config():
    student = {"network": network(), "distribution": {"name": "gaussian"}}
    return make_config(
        algorithm={"name": "distillation"},
        policy={"name": "student_teacher", "student": student, "teacher": {"run": "of nobody"}},
    )


def test_state_is_laid_over_a_fresh_one():
    algorithm, config = build(algorithm={"schedule": "adaptive"})
    before = algorithm.state_dict()
    state, notes = algorithm_state(from_dict(shapes.five(), "it"), before, config)
    assert notes == ()
    algorithm.load_state_dict(state)
    actor = shapes.model("actor", std="std_param")
    torch.testing.assert_close(algorithm.policy.actor.layers[0].weight.data, actor["mlp.0.weight"])
    torch.testing.assert_close(algorithm.policy.actor.normalizer.mean, actor["obs_normalizer._mean"][0])
    torch.testing.assert_close(algorithm.policy.distribution.std_parameter.data, actor["distribution.std_param"])
    assert algorithm.policy.critic.normalizer.count == 960
    assert algorithm.learning_rate == pytest.approx(3e-4)
    first = state["optimizer"]["groups"][0]
    torch.testing.assert_close(first["mean"][:8].view(4, 2), 0.1 * actor["mlp.0.weight"])
    assert first["steps"] == 6.0
    assert difference(before, build(algorithm={"schedule": "adaptive"})[0].state_dict()) is not None  # drawn anew
    assert not before["optimizer"]["groups"][0]["mean"].any()


@pytest.mark.parametrize("payload", [shapes.two(), shapes.three(), shapes.four()], ids=["2", "3", "4"])
def test_older_versions_give_the_same_state(payload):
    algorithm, config = build()
    fresh = algorithm.state_dict()
    expected, _ = algorithm_state(from_dict(shapes.five(), "it"), fresh, config)
    assert difference(algorithm_state(from_dict(payload, "it"), fresh, config)[0], expected) is None


def test_what_is_exported_is_what_was_imported():
    algorithm, config = build()
    payload = shapes.five()
    state, _ = algorithm_state(from_dict(payload, "it"), algorithm.state_dict(), config)
    exported = rsl_rl_state(state, config, 150, {"env_state": 3})
    assert {*exported} == {*payload}
    assert (exported["iter"], exported["infos"]) == (149, {"env_state": 3})
    for model in ("actor_state_dict", "critic_state_dict"):
        assert [*exported[model]] == [*payload[model]]
        torch.testing.assert_close(exported[model], payload[model])
    torch.testing.assert_close(exported["optimizer_state_dict"]["state"], payload["optimizer_state_dict"]["state"])
    group = exported["optimizer_state_dict"]["param_groups"][0]
    assert (group["lr"], group["betas"], group["params"]) == (pytest.approx(3e-4), (0.9, 0.999), [*range(13)])


def test_state_is_plain_data(tmp_path):
    algorithm, config = build(algorithm={"extensions": [RND]})
    torch.save(rsl_rl_state(algorithm.state_dict(), config, 1), tmp_path / "model_0.pt")
    loaded = torch.load(tmp_path / "model_0.pt", weights_only=True)
    assert next(iter(loaded["rnd_state_dict"])) == "predictor.0.weight"
    assert loaded["rnd_optimizer_state_dict"]["param_groups"][0]["lr"] == 1e-3


def test_checkpoint_of_rslcore_is_read_like_one_of_rsl_rl():
    algorithm, config = build()
    ours = {"rslcore": "0.1.0", "schema": 3, "algorithm": algorithm.state_dict(), "config": config, "iteration": 7}
    file = from_dict(ours, "it")
    assert (file.iteration, file.notes) == (7, ())
    both = from_dict(ours | shapes.five(), "it")  # as our runner writes them
    assert (both.iteration, both.notes) == (150, ())


def test_every_misfit_is_told_once():
    algorithm, config = build(
        actor={"hidden_dims": [4, 6], "normalize": False}, distribution={"name": "gaussian", "std_type": "log"}
    )
    message = """model_149.pt does not fit this config:
  actor_state_dict['mlp.2.weight'] is [5, 4] in the file, and 'actor.layers.2.weight' is [6, 4] here
  actor_state_dict['mlp.2.bias'] is [5] in the file, and 'actor.layers.2.bias' is [6] here
  actor_state_dict['mlp.4.weight'] is [1, 5] in the file, and 'actor.layers.4.weight' is [1, 6] here
  '_distribution.std_parameter' [1] is not in the file, where it would be actor_state_dict['distribution.log_std_param']
  actor_state_dict['obs_normalizer._mean'] [1, 2] of the file has no place here
  actor_state_dict['obs_normalizer._var'] [1, 2] of the file has no place here
  actor_state_dict['obs_normalizer.count'] [] of the file has no place here
  actor_state_dict['distribution.std_param'] [1] of the file has no place here"""
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        algorithm_state(from_dict(shapes.five(), "model_149.pt"), algorithm.state_dict(), config)


def test_misfits_have_the_names_of_older_files():
    algorithm, config = build(actor={"hidden_dims": [4, 5, 3]})
    message = """it does not fit this config:
  model_state_dict['actor.4.weight'] is [1, 5] in the file, and 'actor.layers.4.weight' is [3, 5] here
  model_state_dict['actor.4.bias'] is [1] in the file, and 'actor.layers.4.bias' is [3] here
  'actor.layers.6.weight' [1, 3] is not in the file, where it would be actor_state_dict['mlp.6.weight']
  'actor.layers.6.bias' [1] is not in the file, where it would be actor_state_dict['mlp.6.bias']"""
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        algorithm_state(from_dict(shapes.three(), "it"), algorithm.state_dict(), config)


def test_what_is_missing_is_a_note_where_that_is_asked_for():
    algorithm, config = build(actor={"normalize": False})
    state, notes = algorithm_state(from_dict(shapes.five(), "it"), algorithm.state_dict(), config, strict=False)
    assert notes == tuple(
        f"actor_state_dict['obs_normalizer.{name}'] {shape} of the file has no place here"
        for name, shape in (("_mean", "[1, 2]"), ("_var", "[1, 2]"), ("count", "[]"))
    )
    algorithm.load_state_dict(state)
    algorithm, config = build(actor={"hidden_dims": [4, 6]})
    with pytest.raises(CheckpointError, match=r"'actor.layers.2.bias' is \[6\] here"):
        algorithm_state(from_dict(shapes.five(), "it"), algorithm.state_dict(), config, strict=False)


def test_parts_are_taken_alone():
    algorithm, config = build()
    fresh = algorithm.state_dict()
    state, notes = algorithm_state(from_dict(shapes.five(), "it"), fresh, config, {"actor", "iteration"})
    assert notes == ()
    policy, was = state["modules"]["policy"]["module"], fresh["modules"]["policy"]["module"]
    changed = {key for key in policy if not torch.equal(policy[key], was[key])}
    assert changed == {key for key in policy if key.startswith(("actor.", "_distribution."))}
    assert difference(state["optimizer"], fresh["optimizer"]) is None
    assert state["learning_rate"] == fresh["learning_rate"]


def test_parts_that_a_checkpoint_does_not_have():
    algorithm, config = build()
    message = "a checkpoint has no parts 'actr'; did you mean 'actor'? (it has 'actor', 'critic', 'iteration', "
    message += "'optimizer', 'rnd', 'student', 'teacher')"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        algorithm_state(from_dict(shapes.five(), "it"), algorithm.state_dict(), config, {"actr"})


def test_models_that_a_file_does_not_have():
    algorithm, config = build()
    message = """it does not fit this config:
  'actor' is not in the file, which holds 'student', 'teacher'
  'critic' is not in the file, which holds 'student', 'teacher'"""
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        algorithm_state(from_dict(shapes.student(), "it"), algorithm.state_dict(), config)


def test_moments_that_cannot_be_carried_over_are_noted():
    payload = shapes.five()
    del payload["optimizer_state_dict"]
    algorithm, config = build()
    _, notes = algorithm_state(from_dict(payload, "it"), algorithm.state_dict(), config)
    assert notes == ("the file holds no optimizer_state_dict: the optimizer's moments begin anew",)
    algorithm, config = build(algorithm={"optimizer": "rmsprop"})
    _, notes = algorithm_state(from_dict(shapes.five(), "it"), algorithm.state_dict(), config)
    assert notes == (
        "the optimizer's moments begin anew: 'rmsprop' needs 'square_avg', and it keeps 'exp_avg', 'exp_avg_sq': it is "
        "of another optimizer",
    )


def test_fixed_learning_rate_is_that_of_the_config():
    algorithm, config = build(algorithm={"schedule": "fixed", "learning_rate": 1e-3})
    _, notes = algorithm_state(from_dict(shapes.five(), "it"), algorithm.state_dict(), config)
    assert notes == ("the learning rate is that of the config, 0.001; the file has 0.0003",)


def test_rnd_on_one_side_alone():
    rnd = {"predictor.0.weight": torch.ones(2, 3)}
    algorithm, config = build()
    _, notes = algorithm_state(from_dict(shapes.five() | {"rnd_state_dict": rnd}, "it"), algorithm.state_dict(), config)
    assert notes == ("rnd_state_dict is left out: the config has no extension 'rnd'",)
    algorithm, config = build(algorithm={"extensions": [RND]})
    message = "it does not fit this config:\n  the config has the extension 'rnd', and the file no rnd_state_dict"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        algorithm_state(from_dict(shapes.five(), "it"), algorithm.state_dict(), config)
    _state, notes = algorithm_state(from_dict(shapes.five(), "it"), algorithm.state_dict(), config, {"actor", "critic"})
    assert notes == ()


def test_rnd_there_and_back():
    algorithm, config = build(algorithm={"extensions": [RND | {"reward_normalization": True}]})
    exported = rsl_rl_state(algorithm.state_dict(), config, 1)
    other, _ = build(algorithm={"extensions": [RND | {"reward_normalization": True}]})
    state, notes = algorithm_state(from_dict(exported, "it"), other.state_dict(), config)
    assert notes == ("rnd's weight begins anew: the file does not say how many env steps it has counted",)
    assert difference(state["modules"], algorithm.state_dict()["modules"]) is None
    assert left_out(algorithm.state_dict(), config) == (
        "rsl_rl counts the env steps by which rnd's weight goes from 0 again",
    )


def test_what_rsl_rl_has_nothing_like_is_told():
    estimator = {"name": "estimator", "groups": ["policy"], "targets": ["privileged"]}
    algorithm, config = build(algorithm={"extensions": [estimator]})
    state = algorithm.state_dict()
    assert left_out(state, config) == ("the extension 'estimator' is left out: rsl_rl has nothing like it",)
    _, notes = algorithm_state(from_dict(shapes.five(), "it"), state, config)
    assert notes == ("'estimator' of this config begins anew: a file of rsl_rl has nothing of it",)
    config["policy"]["name"] = "q_network"
    message = "rsl_rl has nothing like the policy 'q_network'; of ours it has 'actor_critic', 'student_teacher'"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        rsl_rl_state({}, config, 1)


@pytest.mark.parametrize("teacher_std", [None, "std_param"])
def test_student_and_teacher_there_and_back(teacher_std):
    config = student_config()
    context = make_context(config)
    algorithm = build_algorithm(context)
    payload = shapes.student(teacher_std=teacher_std)
    file = from_dict(payload, "it")
    teacher = teacher_state(file, unstructure(teacher_run()), context)
    state, notes = algorithm_state(file, algorithm.state_dict(), unstructure(config), teacher=teacher)
    assert notes == ("the learning rate is that of the config, 0.001; the file has 0.0003",)
    algorithm.load_state_dict(state)
    exported = rsl_rl_state(algorithm.state_dict(), unstructure(config), 150)
    for model in ("student_state_dict", "teacher_state_dict"):
        assert [*exported[model]] == [*payload[model]]
        torch.testing.assert_close(exported[model], payload[model])


def teacher_run():
    """A run of PPO whose actor sees all."""
    return make_config(actor={"groups": ["policy", "privileged"]}, algorithm={"num_mini_batches": 1})


def test_student_takes_what_ppo_has_trained_for_its_teacher():
    config = student_config()
    context = make_context(config)
    algorithm = build_algorithm(context)
    fresh = algorithm.state_dict()
    payload = shapes.five()
    payload["actor_state_dict"] = shapes.model("teacher", std="std_param")
    file = from_dict(payload, "it")
    assert default_parts(file, unstructure(config)) == {"teacher"}
    teacher = teacher_state(file, unstructure(teacher_run()), context)
    state, notes = algorithm_state(file, fresh, unstructure(config), teacher=teacher)
    assert notes == ()
    assert state["modules"]["policy"]["module"]["_extra_state"]["config"]["policy"]["name"] == "actor_critic"
    del state["modules"]["policy"]["module"]["_extra_state"], fresh["modules"]["policy"]["module"]["_extra_state"]
    assert difference(state, fresh) is None


def test_teacher_that_does_not_fit():
    context = make_context(student_config())
    run = make_config(actor={"groups": ["policy"]})
    message = """the teacher: it does not fit this config:
  teacher_state_dict['obs_normalizer._mean'] is [1, 3] in the file, and 'actor.normalizer.mean' is [2] here
  teacher_state_dict['obs_normalizer._var'] is [1, 3] in the file, and 'actor.normalizer.variance' is [2] here
  teacher_state_dict['mlp.0.weight'] is [4, 3] in the file, and 'actor.layers.0.weight' is [4, 2] here"""
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        teacher_state(from_dict(shapes.student(), "it"), unstructure(run), context)


def test_teacher_of_a_file_without_one():
    file = from_dict(shapes.split({"student": shapes.model("student")}), "it")
    with pytest.raises(CheckpointError, match="^it holds neither a teacher nor an actor that could be one$"):
        teacher_state(file, unstructure(teacher_run()), make_context(student_config()))


def test_encoders_that_are_shared_are_given_twice():
    image = {"policy": TensorSpec((2,)), "camera": TensorSpec((1, 6, 6))}
    cnn = {"name": "cnn", "groups": ["policy", "camera"], "hidden_dims": [4], "encoder": {"channels": [2]}}
    policy = {
        "name": "actor_critic",
        "actor": {"network": cnn, "distribution": {"name": "gaussian", "learn_std": False}},
        "critic": {"network": cnn},
        "share_encoders": True,
    }
    config = make_config(policy=policy)
    algorithm = build_algorithm(attrs.evolve(make_context(config), spec=attrs.evolve(SPEC, observations=image)))
    state = rsl_rl_state(algorithm.state_dict(), unstructure(config), 1)
    assert torch.equal(
        state["actor_state_dict"]["cnns.camera.0.weight"], state["critic_state_dict"]["cnns.camera.0.weight"]
    )
    # std, mlp and encoder of the actor; mlp of the critic, and the encoder again
    assert state["optimizer_state_dict"]["param_groups"][0]["params"] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 5, 6]
    assert left_out(algorithm.state_dict(), unstructure(config)) == (
        "encoders that are shared step once here and twice in rsl_rl; their moments are those of here",
    )
