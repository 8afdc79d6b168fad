"""rsl_rl's configs as rslcore's: each option, what is missing, and what is wrong, under the user's own keys."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest

from rslcore.config import unstructure
from rslcore.errors import ConfigError
from rslcore.registry import default_registry
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.sections import plain
from rslcore_rsl_rl.translation import TEACHER_RUN, structure_translated, translate

ENV = {"name": "gymnasium", "id": "CartPole-v1"}
GAUSSIAN = {"class_name": "GaussianDistribution"}
PPO = {
    "algorithm": {"class_name": "PPO"},
    "actor": {"class_name": "MLPModel", "distribution_cfg": GAUSSIAN},
    "critic": {"class_name": "MLPModel"},
    "obs_groups": {"actor": ["policy"], "critic": ["policy", "privileged"]},
    "num_steps_per_env": 24,
}
DISTILLATION = {
    "algorithm": {"class_name": "Distillation", "gradient_length": 12},
    "student": {"class_name": "RNNModel", "distribution_cfg": GAUSSIAN},
    "teacher": {"class_name": "MLPModel", "distribution_cfg": GAUSSIAN | {"init_std": 0.0}},
    "obs_groups": {"student": ["policy"], "teacher": ["policy", "privileged"]},
    "num_steps_per_env": 24,
}
GROUPS = {name: TensorSpec(shape) for name, shape in (("policy", (6,)), ("privileged", (3,)), ("camera", (3, 8, 8)))}
CNN = {"output_channels": [4, 6], "kernel_size": 3}
RND = {"num_outputs": 1, "predictor_hidden_dims": [4], "target_hidden_dims": [5], "weight": 0.5}
CUSTOM = (
    "is no class of rsl_rl; rslcore has no place for it here: it would have to be a plugin of rslcore, or an extension "
    "of PPO, see 'Configs' in docs/rsl_rl.md"
)


def mirror(env: Any, obs: Any, actions: Any) -> Any:
    return obs, actions


class MyPPO:
    """Someone's own."""


def changed(base: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """A config with some keys of some sections, or whole keys, set."""
    config = copy.deepcopy(base)
    for name, values in sections.items():
        if isinstance(values, dict) and isinstance(config.get(name), dict):
            config[name] |= values
        else:
            config[name] = values
    return config


def translated(config: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The plain config of a translation that has nothing to note and is one of ours."""
    before = copy.deepcopy(config)
    translation = translate(config, **options)
    assert config == before
    assert translation.notes == ()
    assert plain(translation.config) == translation.config
    structure_translated(translation, ENV, default_registry())
    return translation.config


def problems_of(config: Any, **options: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        translate(config, **options)
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems), "a path is told twice"
    return found


def test_what_stands_in_no_config_has_the_defaults():
    assert translated(PPO) == {
        "runner": {"name": "on_policy", "num_steps_per_env": 24},
        "policy": {
            "name": "actor_critic",
            "actor": {"network": {"name": "mlp", "groups": ["policy"]}, "distribution": {"name": "gaussian"}},
            "critic": {"network": {"name": "mlp", "groups": ["policy", "privileged"]}},
        },
        "algorithm": {"name": "ppo"},
        "storage": {"name": "rollout"},
        "loggers": [{"name": "console"}, {"name": "tensorboard"}],
    }


def test_runner_keys():
    config = changed(PPO, experiment_name="go2", seed=7, max_iterations=300, save_interval=10, check_for_nan=True)
    found = translated(config)
    assert found["experiment"] == "go2"
    assert found["seed"] == 7
    assert found["iterations"] == 300
    assert found["runner"] == {"name": "on_policy", "num_steps_per_env": 24, "save_interval": 10}
    assert "on_bad_numbers" not in found


def test_none_and_empty_dicts_say_nothing():
    unset = {"cnn_cfg": None, "rnn_type": None, "activation": {}, "hidden_dims": None}
    config = changed(PPO, actor=unset, policy={}, student={}, teacher=None, seed=None, experiment_name="")
    config["algorithm"] |= {"rnd_cfg": None, "symmetry_cfg": {}, "optimizer": None}
    assert translated(config) == translated(PPO)


def test_models_that_are_not_recurrent_may_say_how_large_they_would_be():
    sizes = {"rnn_type": None, "rnn_hidden_dim": 256, "rnn_num_layers": 1}
    assert translated(changed(PPO, actor=sizes, critic=sizes)) == translated(PPO)


@pytest.mark.parametrize(
    "name", ["PPO", "rsl_rl.algorithms:PPO", "rsl_rl.algorithms.PPO", "rsl_rl.algorithms.ppo:PPO", "rslcore_rsl_rl:PPO"]
)
def test_classes_are_known_by_every_name(name):
    assert translated(changed(PPO, algorithm={"class_name": name})) == translated(PPO)


def test_classes_are_known_as_objects():
    cls = type("PPO", (), {"__module__": "rsl_rl.algorithms.ppo"})
    assert translated(changed(PPO, algorithm={"class_name": cls})) == translated(PPO)


def test_mlp():
    model = {"hidden_dims": (64, 32), "activation": "Swish", "obs_normalization": True}
    found = translated(changed(PPO, actor=model))["policy"]["actor"]["network"]
    assert found == {
        "name": "mlp",
        "groups": ["policy"],
        "hidden_dims": [64, 32],
        "activation": "silu",
        "normalize": True,
    }


@pytest.mark.parametrize(("theirs", "ours"), [("crelu", "celu"), ("lrelu", "leaky_relu"), ("swish", "silu")])
def test_activations_have_their_usual_names(theirs, ours):
    assert translated(changed(PPO, critic={"activation": theirs}))["policy"]["critic"]["network"]["activation"] == ours


@pytest.mark.parametrize("kind", ["lstm", "gru", "GRU", None])
def test_recurrent_models(kind):
    model = {"class_name": "RNNModel", "rnn_type": kind, "rnn_hidden_dim": 64, "rnn_num_layers": 2}
    found = translated(changed(PPO, critic=model))
    network = found["policy"]["critic"]["network"]
    assert network["name"] == (kind or "lstm").lower()
    assert (network["rnn_hidden_dim"], network["rnn_num_layers"]) == (64, 2)
    assert found["algorithm"]["shuffle"] == "none"


def test_one_cnn_for_all_images():
    encoder = CNN | {
        "stride": (2, 1),
        "padding": "zeros",
        "norm": "batch",
        "activation": "lrelu",
        "max_pool": True,
        "global_pool": "avg",
        "flatten": True,
    }
    found = translated(changed(PPO, actor={"class_name": "CNNModel", "cnn_cfg": encoder}))
    assert found["policy"]["actor"]["network"] == {
        "name": "cnn",
        "groups": ["policy"],
        "encoder": {
            "channels": [4, 6],
            "kernel_sizes": [3],
            "strides": [2, 1],
            "padding": "zeros",
            "norm": ["batch"],
            "activation": "leaky_relu",
            "max_pool": [True],
            "global_pool": "avg",
        },
    }


def test_a_cnn_for_each_group():
    groups = {"camera": CNN, "depth": {"output_channels": (2,), "kernel_size": (5, 3, 3), "dilation": 2}}
    found = translated(changed(PPO, actor={"class_name": "CNNModel", "cnn_cfg": groups}))
    assert found["policy"]["actor"]["network"]["encoders"] == {
        "camera": {"channels": [4, 6], "kernel_sizes": [3]},
        # Of more items than there are layers rsl_rl reads the first ones.
        "depth": {"channels": [2], "kernel_sizes": [5], "dilations": [2]},
    }


def test_shared_encoders_are_the_actors():
    other = {"output_channels": [9], "kernel_size": 1}
    for critic in ({"class_name": "CNNModel", "cnn_cfg": other}, {"class_name": "CNNModel", "cnn_cfg": None}):
        config = changed(PPO, actor={"class_name": "CNNModel", "cnn_cfg": CNN}, critic=critic)
        config["algorithm"]["share_cnn_encoders"] = True
        found = translated(config)["policy"]
        assert found["share_encoders"] is True
        assert found["critic"]["network"]["encoder"] == {"channels": [4, 6], "kernel_sizes": [3]}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            {"init_std": 0.5, "std_type": "log", "std_range": (0.1, 2.0), "learn_std": False},
            {"name": "gaussian", "init_std": 0.5, "std_type": "log", "std_range": [0.1, 2.0], "learn_std": False},
        ),
        (
            {"class_name": "HeteroscedasticGaussianDistribution", "init_std": 0.5},
            {"name": "heteroscedastic_gaussian", "init_std": 0.5},
        ),
        ({"class_name": "BetaDistribution"}, {"name": "beta", "range": [-1.0, 1.0]}),
        ({"class_name": "BetaDistribution", "action_range": (0, 2)}, {"name": "beta", "range": [0, 2]}),
        ({"class_name": "rsl_rl.modules.distribution:BetaDistribution"}, {"name": "beta", "range": [-1.0, 1.0]}),
    ],
)
def test_distributions(theirs, ours):
    config = changed(PPO, actor={"distribution_cfg": GAUSSIAN | theirs})
    assert translated(config)["policy"]["actor"]["distribution"] == ours


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


def test_weight_of_rnd_is_noted_where_the_step_is_not_known():
    config = changed(PPO, algorithm={"rnd_cfg": RND}, obs_groups={"rnd_state": ["policy"]})
    assert translate(config).notes == (
        "'algorithm.rnd_cfg.weight' is per second in rsl_rl, which multiplies it by the env's `step_dt`; here it is "
        "for each env step: multiply it by the seconds of a step",
    )


@pytest.mark.parametrize("name", ["my.module:mirror", "my.module.mirror"])
def test_functions_are_known_by_every_name(name):
    config = changed(PPO, algorithm={"symmetry_cfg": {"data_augmentation_func": name}})
    assert translated(config)["algorithm"]["extensions"][0]["function"] == "my.module:mirror"


@pytest.mark.parametrize(("widths", "expected"), [([-1, 8], [9, 8]), ((-1,), [9])])
def test_width_of_the_inputs_is_filled_in(widths, expected):
    config = changed(PPO, critic={"hidden_dims": widths}, algorithm={"rnd_cfg": RND | {"target_hidden_dims": widths}})
    config["obs_groups"]["rnd_state"] = ["policy", "privileged"]
    found = translate(config, GROUPS, step_dt=1.0).config
    assert found["policy"]["critic"]["network"]["hidden_dims"] == expected
    assert found["algorithm"]["extensions"][0]["target_hidden_dims"] == expected
    recurrent = changed(PPO, actor={"class_name": "RNNModel", "rnn_hidden_dim": 7, "hidden_dims": [-1]})
    assert translate(recurrent).config["policy"]["actor"]["network"]["hidden_dims"] == [7]
    message = "-1 stands for the number of the network's inputs, which is not known here; write the number itself"
    assert problems_of(config) == {
        "critic.hidden_dims": message,
        "algorithm.rnd_cfg.target_hidden_dims": message,
    }


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


@pytest.mark.parametrize(
    ("given", "loggers", "notes"),
    [
        ({"logger": "tensorboard"}, [], ()),
        (
            {"logger": "wandb", "wandb_project": "p", "wandb_tags": ("a", "b")},
            [{"project": "p", "tags": ["a", "b"]}],
            (),
        ),
        ({"logger": "WandB"}, [{}], ()),
        ({"logger": {"class_name": "WandbLogWriter", "project_name": "p"}}, [{"project": "p"}], ()),
        ({"logger": {"class_name": "rsl_rl.utils:WandbLogWriter"}}, [{}], ()),
        ({"logger": "wandb", "upload_model": False}, [{"upload_models": False}], ()),
        (
            {"logger": "neptune"},
            [],
            ("'logger' (neptune) has no counterpart here; events are written for TensorBoard",),
        ),
        (
            {"logger": {"class_name": "my.module:Writer", "anything": 1}},
            [],
            ("'logger.class_name' (my.module:Writer) is a writer of your own, which is not called here",),
        ),
    ],
)
def test_loggers(given, loggers, notes):
    translation = translate(changed(PPO, **given))
    wandb = [{"name": "wandb", "upload_models": True, **each} for each in loggers]
    assert translation.config["loggers"] == [{"name": "console"}, {"name": "tensorboard"}, *wandb]
    assert translation.notes == notes
    structure_translated(translation, ENV, default_registry())


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (
            {"check_for_nan": False},
            "'check_for_nan' (False) is 'on_bad_numbers: skip' here: the run goes on, and learns nothing from steps "
            "whose numbers are not finite",
        ),
        ({"seed": -1}, "'seed' (-1) stands for a random one in Isaac Lab; here it is left out"),
        (
            {"experiment_name": "go2/rough"},
            "'experiment_name' (go2/rough) names a folder here and is written 'go2_rough'",
        ),
        (
            {"torch_compile_mode": "max-autotune-no-cudagraphs"},
            "'torch_compile_mode' (max-autotune-no-cudagraphs) is 'algorithm.execution: compile' here, which compiles "
            "by torch's default",
        ),
        (
            {"algorithm": {"grad_reduce_bucket_mb": 25}},
            "'algorithm.grad_reduce_bucket_mb' means nothing here; gradients are reduced by torch while they are "
            "computed",
        ),
        (
            {"critic": {"distribution_cfg": GAUSSIAN}},
            "'critic.distribution_cfg' is left out; values are not drawn from a distribution",
        ),
        ({"save_intervall": 10}, "'save_intervall' is not read; did you mean 'save_interval'?"),
        ({"student": {"class_name": "MLPModel"}}, "'student' is not read by 'PPO'"),
    ],
)
def test_what_is_different_here_is_noted(given, note):
    translation = translate(changed(PPO, **given))
    assert translation.notes == (note,)
    structure_translated(translation, ENV, default_registry())


def test_keys_of_scripts_are_nobodys_business():
    assert translated(changed(PPO, registry_name="x", log_root="y", anything={"z": 1}, save_interval=50, save_at=3))


def test_groups_are_resolved_by_the_env():
    config = changed(PPO, algorithm={"rnd_cfg": RND})
    config["obs_groups"] = {"critic": ["privileged"]}
    translation = translate(config, GROUPS | {"rnd_state": TensorSpec((2,))}, step_dt=1.0)
    policy = translation.config["policy"]
    assert policy["actor"]["network"]["groups"] == ["policy"]
    assert policy["critic"]["network"]["groups"] == ["privileged"]
    assert translation.config["algorithm"]["extensions"][0]["groups"] == ["rnd_state"]
    assert translation.notes == (
        "'obs_groups.actor' is missing; it is taken to be ['policy'], as in rsl_rl, which warns",
        "'obs_groups.rnd_state' is missing; it is taken to be ['rnd_state'], as in rsl_rl, which warns",
    )


def test_groups_that_are_missing_where_the_env_is_not_known_have_the_name_of_the_set():
    translation = translate(changed(PPO, obs_groups=None))
    policy = translation.config["policy"]
    assert policy["actor"]["network"]["groups"] == ["actor"]
    assert policy["critic"]["network"]["groups"] == ["critic"]
    assert translation.notes == (
        "'obs_groups.actor' is missing; it is taken to be ['actor'], since the env is not known",
        "'obs_groups.critic' is missing; it is taken to be ['critic'], since the env is not known",
    )


def test_groups_of_nothing_are_noted():
    notes = translate(changed(PPO, obs_groups=None), GROUPS).notes
    assert notes[0] == "'obs_groups' is empty, and observation sets are made of the groups that the env has"


@pytest.mark.parametrize(
    ("groups", "observations", "expected"),
    [
        ({"policy": ["state"]}, ("state", "more"), ["state"]),
        ({"policy": ["state"]}, ("state", "critic"), ["critic"]),
        (None, ("policy", "critic"), ["critic"]),
        (None, ("policy",), ["policy"]),
    ],
)
def test_critic_of_older_versions_sees_what_the_actor_sees_unless_it_has_a_group(groups, observations, expected):
    config = {"policy": {"class_name": "ActorCritic"}, "algorithm": {"class_name": "PPO"}, "num_steps_per_env": 24}
    if groups:
        config["obs_groups"] = groups
    found = translate(config, {name: TensorSpec((2,)) for name in observations})
    assert found.config["policy"]["critic"]["network"]["groups"] == expected
    assert not any("missing" in note for note in found.notes)


def test_groups_that_are_not_there_are_refused():
    config = changed(PPO, obs_groups={"actor": ["polcy", "camera"], "critic": [], "teacher": "policy"})
    assert problems_of(config, observations=GROUPS) == {
        "obs_groups.actor[0]": (
            "the env has no group 'polcy'; did you mean 'policy'? (groups: 'camera', 'policy', 'privileged')"
        ),
        "obs_groups.critic": "is an empty list; name the observation groups that are read",
        "obs_groups.teacher": "'policy' should be a list of names of observation groups",
    }
    assert problems_of(changed(PPO, obs_groups=None), observations={"state": TensorSpec((1,))}) == {
        f"obs_groups.{name}": f"is missing, and the env has neither a group '{name}' nor 'policy' (groups: 'state')"
        for name in ("actor", "critic")
    }


def test_everything_that_is_wrong_is_told_at_once():
    config = changed(
        PPO,
        algorithm={
            "clip_parm": 0.2,
            "gamma": 1.5,
            "use_mixed_precision": "yes",
            "rnd_cfg": {"weigth": 1, "num_outputs": 0, "weight_schedule": {"mode": "stepp", "final": 1}},
            "symmetry_cfg": {"mirror_loss": True},
            "optimizer": "adan",
        },
        actor={"hidden_dim": [1], "activation": "elux", "distribution_cfg": GAUSSIAN | {"init_stdd": 1}},
        critic={"class_name": "CNNModel", "cnn_cfg": {"output_channels": [4], "kernal_size": 3, "flatten": False}},
        num_steps_per_env="many",
        experiment_name=5,
    )
    found = problems_of(config)
    assert set(found) == {
        "algorithm.clip_parm",
        "algorithm.gamma",
        "algorithm.use_mixed_precision",
        "algorithm.optimizer",
        "algorithm.rnd_cfg.weigth",
        "algorithm.rnd_cfg.num_outputs",
        "algorithm.rnd_cfg.predictor_hidden_dims",
        "algorithm.rnd_cfg.target_hidden_dims",
        "algorithm.rnd_cfg.weight_schedule.mode",
        "algorithm.rnd_cfg.weight_schedule.final",
        "algorithm.symmetry_cfg.mirror_loss",
        "algorithm.symmetry_cfg.data_augmentation_func",
        "actor.hidden_dim",
        "actor.activation",
        "actor.distribution_cfg.init_stdd",
        "critic.cnn_cfg.kernal_size",
        "critic.cnn_cfg.kernel_size",
        "critic.cnn_cfg.flatten",
        "num_steps_per_env",
        "experiment_name",
    }
    assert found["algorithm.gamma"] == "1.5 is out of range, it must be in [0.0, 1.0]"
    assert found["algorithm.use_mixed_precision"] == "'yes' (str) should be true or false"
    assert found["algorithm.symmetry_cfg.data_augmentation_func"] == (
        "is missing; 'Symmetry' of rsl_rl has no default for it"
    )
    assert found["actor.hidden_dim"] == (
        "unknown key; did you mean 'hidden_dims'? ('MLPModel' has 'activation', 'class_name', 'distribution_cfg', "
        "'hidden_dims', 'obs_normalization')"
    )
    assert found["actor.activation"] == (
        "'elux' is none of 'crelu', 'elu', 'gelu', 'lrelu', 'mish', 'relu', 'selu', 'sigmoid', 'softplus', 'swish', "
        "'tanh'; did you mean 'elu'?"
    )
    assert found["critic.cnn_cfg.flatten"] == "False should be true; the layers upon it read flat features"


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        (
            {"algorithm": {"class_name": "PP0"}},
            "algorithm.class_name",
            "'PP0' is none of 'Distillation', 'PPO'; did you mean 'PPO'?",
        ),
        ({"algorithm": {"class_name": "my_pkg.my_module:MyPPO"}}, "algorithm.class_name", "'my_pkg.my_module:MyPPO'"),
        ({"algorithm": {"class_name": "my_pkg.MyPPO"}}, "algorithm.class_name", "'my_pkg:MyPPO'"),
        ({"algorithm": {"class_name": MyPPO}}, "algorithm.class_name", f"'{__name__}:MyPPO'"),
        (
            {"algorithm": {"class_name": 5}},
            "algorithm.class_name",
            "5 (int) should name a class, one of 'Distillation', 'PPO'",
        ),
        (
            {"algorithm": {"class_name": None}},
            "algorithm.class_name",
            "is missing; it names the class, one of 'Distillation', 'PPO'",
        ),
        (
            {"actor": {"class_name": "ActorCritic"}},
            "actor.class_name",
            "'ActorCritic' is none of 'CNNModel', 'MLPModel', 'RNNModel'",
        ),
        ({"actor": {"rnn_type": "lstm"}}, "actor.rnn_type", "'MLPModel' has no such key; 'RNNModel' has"),
        (
            {"critic": {"class_name": "RNNModel", "rnn_type": "gur"}},
            "critic.rnn_type",
            "'gur' is none of 'gru', 'lstm'; did you mean 'gru'?",
        ),
        (
            {"actor": {"distribution_cfg": GAUSSIAN | {"action_range": [0, 1]}}},
            "actor.distribution_cfg.action_range",
            "'GaussianDistribution' has no such key; 'BetaDistribution' has",
        ),
        (
            {"actor": {"distribution_cfg": None}},
            "actor.distribution_cfg",
            "is missing; PPO draws the actor's actions from a distribution",
        ),
        (
            {"critic": {"distribution_cfg": {"class_name": "BetaDistribution"}}},
            "critic.distribution_cfg",
            "is for models that act; values are not drawn from a distribution",
        ),
        (
            {"actor": {"activation": "identity"}},
            "actor.activation",
            "'identity' has no counterpart in rslcore; write a nonlinearity",
        ),
        (
            {"actor": {"class_name": "CNNModel"}},
            "actor.cnn_cfg",
            "is missing; 'CNNModel' of rsl_rl has no default for it",
        ),
        ({"actor": [1]}, "actor", "[1] (list) should be a mapping"),
        (
            {"torch_compile_mode": "max-autotune"},
            "torch_compile_mode",
            "'max-autotune' is refused by rsl_rl; write one of 'default', 'max-autotune-no-cudagraphs', or "
            "`execution: cuda_graph` in rslcore",
        ),
        (
            {"torch_compile_mode": "defualt"},
            "torch_compile_mode",
            "'defualt' is none of 'default', 'max-autotune-no-cudagraphs'; did you mean 'default'?",
        ),
        (
            {"logger": "wandbb"},
            "logger",
            "'wandbb' is none of 'neptune', 'tensorboard', 'wandb'; did you mean 'wandb'?",
        ),
        ({"seed": 1.5}, "seed", "1.5 (float) should be a whole number"),
        ({"max_iterations": 0}, "max_iterations", "0 is out of range, it must be >= 1"),
        ({"logger": "wandb", "wandb_tags": "one"}, "wandb_tags", "'one' (str) should be a list"),
    ],
)
def test_what_is_wrong_is_told_at_its_key(given, path, message):
    whole = f"{message} {CUSTOM}" if "My" in message else message
    found = problems_of(changed(PPO, **given))
    assert found.pop(path) == whole
    assert found == {}


@pytest.mark.parametrize("function", [lambda: None, functools.partial(mirror, None), "mirror", 5])
def test_functions_without_a_name_are_refused(function):
    found = problems_of(changed(PPO, algorithm={"symmetry_cfg": {"data_augmentation_func": function}}))
    assert found == {
        "algorithm.symmetry_cfg.data_augmentation_func": (
            f"{function!r} cannot be named; give a function of a module, or its name as 'module:function'"
        )
    }


def test_sections_that_are_missing_are_told():
    assert problems_of({"num_step_per_env": 24}) == {
        "num_steps_per_env": ("is missing, and rsl_rl has no default for it; is 'num_step_per_env' meant for it?"),
        "algorithm": "is missing; it has `class_name` and the options of PPO or Distillation",
        "actor": "is missing; it has `class_name` and the options of a model",
        "critic": "is missing; it has `class_name` and the options of a model",
    }


def test_distillation_refuses_extensions_and_tells_of_its_teacher():
    config = changed(DISTILLATION, algorithm={"rnd_cfg": RND, "loss_tpe": "mse"}, teacher={"hidden_dims": ["a", 8]})
    found = problems_of(config)
    assert found["algorithm.rnd_cfg"] == "is for PPO; 'Distillation' of rsl_rl refuses it"
    assert found["algorithm.loss_tpe"].startswith("unknown key; did you mean 'loss_type'?")
    assert found["teacher.hidden_dims[0]"] == "'a' (str) should be a whole number"
    assert len(found) == 3


def test_problems_of_older_versions_have_the_keys_of_those():
    config = {
        "policy": {
            "actor_hidden_dims": [8, 0],
            "activation": "elux",
            "init_noise_std": -1.0,
            "rnn_hidden_size": 0,
            "actor_hiden_dims": 3,
        },
        "algorithm": {"gamma": 2.0},
        "runner": {"policy_class_name": "ActorCriticRecurrent", "num_steps_per_env": 0},
        "empirical_normalization": "yes",
    }
    found = problems_of(config)
    assert set(found) == {
        "policy.actor_hiden_dims",
        "policy.actor_hidden_dims",
        "policy.activation",
        "policy.init_noise_std",
        "policy.rnn_hidden_size",
        "algorithm.gamma",
        "runner.num_steps_per_env",
        "empirical_normalization",
    }
    assert found["runner.num_steps_per_env"] == "0 is out of range, it must be in [1, 1000000]"
    assert problems_of(changed(config, policy={"rnn_hidden_size": 8}, runner={"policy_class_name": "Actor"}))[
        "runner.policy_class_name"
    ].startswith("'Actor' is none of ")


def test_structured_problems_keep_the_paths_of_the_env():
    translation = translate(PPO)
    config = structure_translated(translation, ENV, default_registry())
    assert unstructure(config)["algorithm"]["name"] == "ppo"
    with pytest.raises(ConfigError) as caught:
        structure_translated(translation, {"name": "gymnasium", "num_env": 3}, default_registry())
    assert {problem.path for problem in caught.value.problems} == {"env.num_env", "env.id"}


def test_errors_about_the_config_are_told_in_the_users_words():
    translation = translate({**PPO, "actor": {"class_name": "CNNModel", "cnn_cfg": CNN, "distribution_cfg": GAUSSIAN}})
    for ours, theirs in (
        ("policy.actor.network.groups", "obs_groups.actor"),
        ("policy.actor.network.encoder.kernel_sizes[0]", "actor.cnn_cfg.kernel_size"),
        ("policy.actor.network.encoder.strides", "actor.cnn_cfg.strides"),
        ("policy.actor.network", "actor"),
        ("algorithm.num_mini_batches", "algorithm.num_mini_batches"),
        ("env.task", "env.task"),
    ):
        error = translation.in_users_words(ConfigError.at(ours, "is wrong"))
        assert str(error) == f"{theirs}: is wrong"
