"""rsl_rl's algorithms, and what extends them, as rslcore's."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from train_cfgs import DISTILLATION, ENV, PPO, RND, changed, problems_of, translated

from rslcore.registry import default_registry
from rslcore_rsl_rl.translation import TEACHER_RUN, structure_translated, translate


def mirror(env: Any, obs: Any, actions: Any) -> Any:
    return obs, actions


def test_options_of_ppo():
    same = {
        "num_learning_epochs": 3,
        "num_mini_batches": 2,
        "clip_param": 0.1,
        "gamma": 0.9,
        "lam": 0.8,
        "value_loss_coef": 2.0,
        "entropy_coef": 0.1,
        "learning_rate": 0.002,
        "max_grad_norm": 0.5,
        "use_clipped_value_loss": False,
        "schedule": "adaptive",
        "desired_kl": 0.02,
    }
    others = {
        "optimizer": "AdamW",
        "normalize_advantage_per_mini_batch": True,
        "use_mixed_precision": True,
    }
    config = changed(PPO, algorithm=same | others, torch_compile_mode="default")
    assert translated(config)["algorithm"] == {
        "name": "ppo",
        **same,
        "optimizer": "adamw",
        "normalize_advantage": "minibatch",
        "precision": "bf16",
        "execution": "compile",
    }


def test_learning_rate_without_a_desired_kl_is_fixed():
    found = translated(changed(PPO, algorithm={"schedule": "adaptive", "desired_kl": None}))
    assert found["algorithm"] == {"name": "ppo", "schedule": "fixed"}


def test_rnd_and_symmetry():
    rnd = RND | {"activation": "lrelu", "state_normalization": True, "num_states": 9, "obs_groups": {}}
    rnd["weight_schedule"] = {"mode": "step", "initial_step": 3, "final_step": 5, "final_value": 0.1}
    symmetry = {"data_augmentation_func": mirror, "use_mirror_loss": True, "_env": object()}
    config = changed(
        PPO, algorithm={"rnd_cfg": rnd, "symmetry_cfg": symmetry}, obs_groups={"rnd_state": ("privileged",)}
    )
    assert translate(config, step_dt=0.02).config["algorithm"]["extensions"] == [
        {
            "name": "rnd",
            "groups": ["privileged"],
            "reward_observation": "next",
            "num_outputs": 1,
            "state_normalization": True,
            "predictor_hidden_dims": [4],
            "target_hidden_dims": [5],
            "activation": "leaky_relu",
            "weight": 0.01,
            "weight_schedule": {"mode": "step", "final_step": 5, "final_value": 0.1},
        },
        {
            "name": "symmetry",
            "use_data_augmentation": False,
            "mirror_loss_coeff": 0.0,
            "function": f"{__name__}:mirror",
            "use_mirror_loss": True,
        },
    ]


def test_weight_of_rnd_is_zero_where_none_is_said():
    rnd = {key: value for key, value in RND.items() if key != "weight"} | {"weight_schedule": {"mode": "constant"}}
    (found,) = translate(changed(PPO, algorithm={"rnd_cfg": rnd}), step_dt=0.02).config["algorithm"]["extensions"]
    assert found["weight"] == 0.0
    assert found["weight_schedule"] == {"mode": "constant"}


def test_weight_of_rnd_is_to_check_where_the_step_is_not_known():
    config = changed(PPO, algorithm={"rnd_cfg": RND | {"weight": 5.0}}, obs_groups={"rnd_state": ["policy"]})
    translation = translate(config)
    assert translation.notes == ()
    assert translation.to_check == (
        "algorithm.extensions[0].weight: 'algorithm.rnd_cfg.weight' (5.0) is per second in rsl_rl, which multiplies it "
        "by the env's `step_dt`; here it is for each env step: multiply it by the seconds of a step; where those are "
        "0.02 write `algorithm.extensions[0].weight=0.1`",
    )
    config["algorithm"]["rnd_cfg"]["weight"] = 0.0
    assert translate(config).to_check == ()


@pytest.mark.parametrize("name", ["my.module:mirror", "my.module.mirror"])
def test_functions_are_known_by_every_name(name):
    config = changed(PPO, algorithm={"symmetry_cfg": {"data_augmentation_func": name}})
    assert translated(config)["algorithm"]["extensions"][0]["function"] == "my.module:mirror"


def test_distillation():
    options = {"num_learning_epochs": 2, "learning_rate": 0.01, "loss_type": "huber", "optimizer": "sgd"}
    found = translated(changed(DISTILLATION, algorithm=options | {"max_grad_norm": 0.5, "use_mixed_precision": True}))
    assert found["policy"] == {
        "name": "student_teacher",
        "student": {"network": {"name": "lstm", "groups": ["policy"]}, "distribution": {"name": "gaussian"}},
        "teacher": {"run": TEACHER_RUN},
    }
    assert found["algorithm"] == {
        "name": "distillation",
        "gradient_length": 12,
        **options,
        "max_grad_norm": 0.5,
        "precision": "bf16",
    }
    assert "max_grad_norm" not in translated(changed(DISTILLATION, algorithm={"max_grad_norm": 0}))["algorithm"]


def test_notes_of_distillation():
    config = changed(
        DISTILLATION,
        algorithm={"gradient_length": 15, "gamma": 0.99, "class_name": "Distillation"},
        student={"class_name": "MLPModel", "distribution_cfg": None},
        torch_compile_mode="default",
        critic={"class_name": "MLPModel"},
    )
    translation = translate(config)
    assert translation.notes == (
        "'critic' is not read by 'Distillation'",
        "'student' has no 'distribution_cfg' and acts without noise in rsl_rl; here it does with a standard deviation "
        "of 1e-6",
        "'algorithm' has 'gamma', which mean nothing to 'Distillation'",
        "'torch_compile_mode' is left out; distillation is not compiled here",
        "'algorithm.gradient_length' (15) does not divide 'num_steps_per_env' (24): here the last window of an epoch "
        "is shorter, in rsl_rl windows run on and what is left over is not learned from",
    )
    distribution = {"name": "gaussian", "init_std": 1e-6, "learn_std": False}
    assert translation.config["policy"]["student"]["distribution"] == distribution
    structure_translated(translation, ENV, default_registry())


@pytest.mark.parametrize("function", [lambda: None, functools.partial(mirror, None), "mirror", 5])
def test_functions_without_a_name_are_refused(function):
    found = problems_of(changed(PPO, algorithm={"symmetry_cfg": {"data_augmentation_func": function}}))
    assert found == {
        "algorithm.symmetry_cfg.data_augmentation_func": (
            f"{function!r} cannot be named; give a function of a module, or its name as 'module:function'"
        )
    }


def test_distillation_refuses_extensions_and_tells_of_its_teacher():
    config = changed(DISTILLATION, algorithm={"rnd_cfg": RND, "loss_tpe": "mse"}, teacher={"hidden_dims": ["a", 8]})
    found = problems_of(config)
    assert found["algorithm.rnd_cfg"] == "is for PPO; 'Distillation' of rsl_rl refuses it"
    assert found["algorithm.loss_tpe"].startswith("unknown key; did you mean 'loss_type'?")
    assert found["teacher.hidden_dims[0]"] == "'a' (str) should be a whole number"
    assert len(found) == 3
