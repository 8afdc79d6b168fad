"""rsl_rl's configs as rslcore's: the whole, what is missing, and what is wrong, under the user's own keys."""

from __future__ import annotations

import pytest
from train_cfgs import CNN, CUSTOM, ENV, GAUSSIAN, PPO, changed, problems_of, translated

from rslcore.config import unstructure
from rslcore.errors import ConfigError
from rslcore.registry import default_registry
from rslcore_rsl_rl.translation import structure_translated, translate


class MyPPO:
    """Someone's own."""


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


def test_none_and_empty_dicts_say_nothing():
    unset = {"cnn_cfg": None, "rnn_type": None, "activation": {}, "hidden_dims": None}
    config = changed(PPO, actor=unset, policy={}, student={}, teacher=None, seed=None, experiment_name="")
    config["algorithm"] |= {"rnd_cfg": None, "symmetry_cfg": {}, "optimizer": None}
    assert translated(config) == translated(PPO)


@pytest.mark.parametrize(
    "name", ["PPO", "rsl_rl.algorithms:PPO", "rsl_rl.algorithms.PPO", "rsl_rl.algorithms.ppo:PPO", "rslcore_rsl_rl:PPO"]
)
def test_classes_are_known_by_every_name(name):
    assert translated(changed(PPO, algorithm={"class_name": name})) == translated(PPO)


def test_classes_are_known_as_objects():
    cls = type("PPO", (), {"__module__": "rsl_rl.algorithms.ppo"})
    assert translated(changed(PPO, algorithm={"class_name": cls})) == translated(PPO)


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
        ({"student": {"class_name": "MLPModel"}}, "'student' is not read by 'PPO'"),
    ],
)
def test_what_is_different_here_is_noted(given, note):
    translation = translate(changed(PPO, **given))
    assert translation.notes == (note,)
    structure_translated(translation, ENV, default_registry())


def test_misspelt_key_of_the_runner_is_to_check():
    translation = translate(changed(PPO, save_intervall=10))
    assert (translation.notes, translation.to_check) == (
        (),
        ("'save_intervall' is not read; did you mean 'save_interval'?",),
    )
    config = {"policy": {}, "algorithm": {}, "obs_groups": {"policy": ["a"], "critic": ["a"]}}
    runner = {"policy_class_name": "ActorCritic", "num_steps_per_env": 24, "max_iteration": 10, "mine": 1}
    translation = translate({**config, "runner": runner})
    assert translation.to_check == ("'runner.max_iteration' is not read; did you mean 'max_iterations'?",)
    assert "what was in 'runner' ('num_steps_per_env') is now at the top" in translation.notes


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


def test_sections_that_are_missing_are_told():
    assert problems_of({"num_step_per_env": 24}) == {
        "num_steps_per_env": ("is missing, and rsl_rl has no default for it; is 'num_step_per_env' meant for it?"),
        "algorithm": "is missing; it has `class_name` and the options of PPO or Distillation",
        "actor": "is missing; it has `class_name` and the options of a model",
        "critic": "is missing; it has `class_name` and the options of a model",
    }


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
