"""Configs of rsl_rl 1 to 4 in the shape of rsl_rl 5, with a note for each thing."""

from __future__ import annotations

import copy

import pytest

from rslcore.errors import ConfigError
from rslcore_rsl_rl.upgrade import upgrade

GAUSSIAN = {"class_name": "GaussianDistribution"}
FIVE = {
    "algorithm": {"class_name": "PPO", "gamma": 0.98},
    "actor": {"class_name": "MLPModel", "hidden_dims": [8], "distribution_cfg": GAUSSIAN | {"init_std": 0.5}},
    "critic": {"class_name": "MLPModel", "hidden_dims": [4]},
    "obs_groups": {"actor": ["policy"], "critic": ["policy", "privileged"]},
    "num_steps_per_env": 24,
    "save_interval": 50,
    "my_own_key": {"anything": None},
}
MODEL = {"class_name": "MLPModel", "activation": "elu"}
OLD_POLICY = {
    "class_name": "ActorCritic",
    "init_noise_std": 0.5,
    "actor_hidden_dims": [8],
    "critic_hidden_dims": [4],
    "activation": "elu",
}
ALGORITHM = {
    "class_name": "PPO",
    "num_learning_epochs": 5,
    "num_mini_batches": 4,
    "gamma": 0.99,
    "entropy_coef": 0.0,
    "schedule": "fixed",
}
THREE = {
    "policy": OLD_POLICY,
    "algorithm": ALGORITHM,
    "obs_groups": {"policy": ["state"], "critic": ["state", "more"]},
    "num_steps_per_env": 24,
}
NOTES_ON_POLICY = (
    "'policy.actor_hidden_dims' is now 'actor.hidden_dims'",
    "'policy.critic_hidden_dims' is now 'critic.hidden_dims'",
    "'policy.class_name' (ActorCritic) is now 'actor.class_name' (MLPModel) and 'critic.class_name' (MLPModel)",
    "'policy.activation' is now 'actor.activation' and 'critic.activation'",
    "'policy.init_noise_std' is now 'actor.distribution_cfg.init_std'",
)


def test_upgrade_of_5_is_the_same():
    assert upgrade(FIVE) == (FIVE, ())


def test_upgrade_shares_nothing_and_makes_lists():
    given = {**FIVE, "obs_groups": {"actor": ("policy",), "critic": ("policy",)}}
    before = copy.deepcopy(given)
    config, _ = upgrade(given)
    assert config["obs_groups"] == {"actor": ["policy"], "critic": ["policy"]}
    config["actor"]["hidden_dims"].append(1)
    config["my_own_key"]["anything"] = 1
    assert given == before


def test_upgrade_of_4_makes_distributions():
    noise = {"stochastic": True, "init_noise_std": 0.3, "noise_std_type": "log", "state_dependent_std": True}
    config, notes = upgrade({**FIVE, "actor": {**MODEL, **noise}, "critic": {**MODEL, "stochastic": False}})
    distribution = {"class_name": "HeteroscedasticGaussianDistribution", "init_std": 0.3, "std_type": "log"}
    assert config["actor"] == {**MODEL, "distribution_cfg": distribution}
    assert config["critic"] == MODEL
    assert notes == (
        "'actor.stochastic' is now 'actor.distribution_cfg'",
        "'actor.state_dependent_std' is now 'actor.distribution_cfg.class_name'",
        "'actor.init_noise_std' is now 'actor.distribution_cfg.init_std'",
        "'actor.noise_std_type' is now 'actor.distribution_cfg.std_type'",
    )


def test_upgrade_leaves_out_noise_beside_a_distribution():
    noise = {"stochastic": {}, "init_noise_std": {}, "noise_std_type": "scalar", "state_dependent_std": False}
    assert upgrade({**FIVE, "actor": {**FIVE["actor"], **noise}, "policy": {}}) == (FIVE, ())


def test_upgrade_of_3_takes_the_policy_apart():
    config, notes = upgrade(THREE)
    assert config == {
        "algorithm": ALGORITHM,
        "actor": {**MODEL, "hidden_dims": [8], "distribution_cfg": GAUSSIAN | {"init_std": 0.5}},
        "critic": {**MODEL, "hidden_dims": [4]},
        "obs_groups": {"actor": ["state"], "critic": ["state", "more"]},
        "num_steps_per_env": 24,
    }
    assert notes == (*NOTES_ON_POLICY, "'obs_groups.policy' is now 'obs_groups.actor'")


def test_upgrade_of_3_with_images():
    cnn = {"output_channels": [4], "kernel_size": 3}
    policy = {"class_name": "ActorCriticCNN", "actor_cnn_cfg": cnn, "critic_cnn_cfg": None}
    config, notes = upgrade({**THREE, "policy": policy})
    assert config["actor"] == {"class_name": "CNNModel", "cnn_cfg": cnn, "distribution_cfg": GAUSSIAN}
    assert config["critic"] == {"class_name": "MLPModel"}
    assert notes[:2] == (
        "'policy.actor_cnn_cfg' is now 'actor.cnn_cfg'",
        "'policy.class_name' (ActorCriticCNN) is now 'actor.class_name' (CNNModel) and 'critic.class_name' (MLPModel)",
    )


def test_upgrade_of_2_sets_the_defaults_of_its_time():
    algorithm = {"class_name": "PPO", "learning_rate": 1e-4}
    config, notes = upgrade({"policy": {**OLD_POLICY, "activation": "crelu"}, "algorithm": algorithm})
    assert config["algorithm"] == {
        **algorithm,
        "num_learning_epochs": 1,
        "num_mini_batches": 1,
        "gamma": 0.998,
        "entropy_coef": 0.0,
        "schedule": "fixed",
    }
    assert config["obs_groups"] == {"actor": ["policy"]}
    assert config["actor"]["activation"] == "crelu"
    assert notes[0] == (
        "'algorithm' does not say 'num_learning_epochs' (1), 'num_mini_batches' (1), 'gamma' (0.998), "
        "'entropy_coef' (0.0), 'schedule' (fixed), which is set as rsl_rl had it before 3.0"
    )


@pytest.mark.parametrize("given", [{}, None])
def test_upgrade_of_3_with_groups_unset_has_the_defaults_of_today(given):
    config, notes = upgrade({**THREE, "algorithm": {"class_name": "PPO"}, "obs_groups": given})
    assert config["algorithm"] == {"class_name": "PPO"}
    assert config["obs_groups"] == {"actor": ["policy"]}
    assert notes == NOTES_ON_POLICY


@pytest.mark.parametrize("value", [True, False])
def test_upgrade_of_empirical_normalization(value):
    config, notes = upgrade({**THREE, "empirical_normalization": value})
    assert config["actor"]["obs_normalization"] is value
    assert config["critic"]["obs_normalization"] is value
    assert "empirical_normalization" not in config
    assert "'empirical_normalization' is now 'actor.obs_normalization' and 'critic.obs_normalization'" in notes


@pytest.mark.parametrize("unset", [None, {}])
def test_upgrade_prefers_what_the_policy_says_of_normalization(unset):
    policy = {**OLD_POLICY, "actor_obs_normalization": False, "critic_obs_normalization": unset}
    config, notes = upgrade({**THREE, "policy": policy, "empirical_normalization": True})
    assert config["actor"]["obs_normalization"] is False
    assert config["critic"]["obs_normalization"] is True
    assert "'policy.actor_obs_normalization' is now 'actor.obs_normalization'" in notes
    assert "'empirical_normalization' is now 'critic.obs_normalization'" in notes


def test_upgrade_of_5_says_that_empirical_normalization_is_not_read():
    config, notes = upgrade({**FIVE, "empirical_normalization": True})
    assert "obs_normalization" not in config["actor"]
    assert notes == (
        "'empirical_normalization' is not read by rsl_rl since 4.0, and is not here; each model has its own "
        "'obs_normalization'",
    )


@pytest.mark.parametrize(
    ("widths", "width"),
    [
        ({"rnn_hidden_size": 64}, 64),
        ({"rnn_hidden_dim": 32}, 32),
        ({"rnn_hidden_dim": 256, "rnn_hidden_size": 64}, 64),
        ({"rnn_hidden_dim": 32, "rnn_hidden_size": 64}, 32),
    ],
)
def test_upgrade_of_recurrent_policies(widths, width):
    policy = {"class_name": "ActorCriticRecurrent", "rnn_type": "gru", "rnn_num_layers": 2, **widths}
    config, notes = upgrade({**THREE, "policy": policy})
    model = {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": width, "rnn_num_layers": 2}
    assert config["actor"] == {**model, "distribution_cfg": GAUSSIAN}
    assert config["critic"] == model
    assert "'policy.rnn_type' is now 'actor.rnn_type' and 'critic.rnn_type'" in notes


def test_upgrade_of_1_flattens_the_runner():
    legged_gym = {
        "seed": 1,
        "runner_class_name": "OnPolicyRunner",
        "policy": {"init_noise_std": 0.5, "activation": "crelu"},
        "algorithm": {key: value for key, value in ALGORITHM.items() if key != "class_name"},
        "runner": {
            "policy_class_name": "ActorCritic",
            "algorithm_class_name": "PPO",
            "num_steps_per_env": 24,
            "experiment_name": "g1",
            "resume_path": None,
        },
    }
    config, notes = upgrade(legged_gym)
    assert config == {
        "seed": 1,
        "runner_class_name": "OnPolicyRunner",
        "algorithm": ALGORITHM,
        "num_steps_per_env": 24,
        "experiment_name": "g1",
        "resume_path": None,
        "actor": {
            "class_name": "MLPModel",
            "activation": "relu",
            "distribution_cfg": GAUSSIAN | {"init_std": 0.5},
        },
        "critic": {"class_name": "MLPModel", "activation": "relu"},
        "obs_groups": {"actor": ["policy"]},
    }
    assert notes == (
        "'runner.algorithm_class_name' is now 'algorithm.class_name'",
        "what was in 'runner' ('experiment_name', 'num_steps_per_env', 'resume_path') is now at the top",
        "'runner.policy_class_name' (ActorCritic) is now 'actor.class_name' (MLPModel) and 'critic.class_name' "
        "(MLPModel)",
        "'crelu' of 'policy.activation' is 'relu', which it meant in rsl_rl 1",
        "'policy.activation' is now 'actor.activation' and 'critic.activation'",
        "'policy.init_noise_std' is now 'actor.distribution_cfg.init_std'",
    )


def test_upgrade_prefers_the_top_to_the_runner():
    # Genesis had both while it was with rsl_rl 2.
    runner = {"max_iterations": 5, "experiment_name": "inside", "policy_class_name": "ActorCriticRecurrent"}
    config, _ = upgrade({**THREE, "runner": runner, "experiment_name": "top"})
    assert config["experiment_name"] == "top"
    assert config["max_iterations"] == 5
    assert config["actor"]["class_name"] == "MLPModel"


@pytest.mark.parametrize(
    ("policy", "teacher_class"),
    [
        ({"class_name": "StudentTeacher"}, "MLPModel"),
        ({"class_name": "StudentTeacherRecurrent"}, "MLPModel"),
        ({"class_name": "StudentTeacherRecurrent", "teacher_recurrent": True}, "RNNModel"),
    ],
)
def test_upgrade_of_student_and_teacher(policy, teacher_class):
    policy = {**policy, "student_hidden_dims": [8], "teacher_hidden_dims": [4], "student_obs_normalization": True}
    groups = {"policy": ["policy"], "teacher": ["privileged"]}
    config, notes = upgrade({"policy": policy, "algorithm": {"class_name": "Distillation"}, "obs_groups": groups})
    student_class = "RNNModel" if policy["class_name"].endswith("Recurrent") else "MLPModel"
    assert config["student"] == {
        "class_name": student_class,
        "hidden_dims": [8],
        "obs_normalization": True,
        "distribution_cfg": GAUSSIAN | {"init_std": 0.1},
    }
    assert config["teacher"] == {"class_name": teacher_class, "hidden_dims": [4]}
    assert config["obs_groups"] == {"student": ["policy"], "teacher": ["privileged"]}
    assert "'obs_groups.policy' is now 'obs_groups.student'" in notes


def test_upgrade_of_an_unnamed_policy_goes_by_the_algorithm():
    config, _ = upgrade({"policy": {"activation": "elu"}, "algorithm": {"class_name": "Distillation"}})
    assert {"student", "teacher"} <= config.keys()


def test_upgrade_renames_the_set_of_the_actor_in_newer_configs_too():
    config, notes = upgrade({**FIVE, "obs_groups": {"policy": ["a"], "critic": ["b"]}})
    assert config["obs_groups"] == {"actor": ["a"], "critic": ["b"]}
    assert notes == ("'obs_groups.policy' is now 'obs_groups.actor'",)


def test_upgrade_leaves_a_policy_beside_models():
    config, notes = upgrade({**FIVE, "policy": OLD_POLICY})
    assert config == FIVE
    assert notes == ("'policy' is not read, since 'actor', 'critic' are there",)


def test_upgrade_leaves_out_what_the_policy_has_no_use_for():
    policy = {**OLD_POLICY, "rnn_type": "lstm", "rnn_hidden_size": 512}
    config, notes = upgrade({**THREE, "policy": policy})
    assert config == upgrade(THREE)[0]
    assert notes[:2] == (
        "'policy.rnn_type' means nothing to 'ActorCritic' and is left out",
        "'policy.rnn_hidden_size' means nothing to 'ActorCritic' and is left out",
    )


def test_upgrade_tells_unknown_keys_and_classes():
    with pytest.raises(ConfigError) as caught:
        upgrade({**THREE, "policy": {**OLD_POLICY, "actor_hiden_dims": [8]}})
    assert str(caught.value) == (
        "policy.actor_hiden_dims: unknown key; did you mean 'actor_hidden_dims'? ('ActorCritic' has 'activation', "
        "'actor_hidden_dims', 'actor_obs_normalization', 'class_name', 'critic_hidden_dims', "
        "'critic_obs_normalization', 'init_noise_std', 'noise_std_type', 'state_dependent_std')"
    )
    with pytest.raises(ConfigError) as caught:
        upgrade({**THREE, "policy": {"class_name": "ActorCriticRecurent"}})
    assert str(caught.value) == (
        "policy.class_name: 'ActorCriticRecurent' is none of 'ActorCritic', 'ActorCriticCNN', 'ActorCriticRecurrent', "
        "'StudentTeacher', 'StudentTeacherRecurrent'; did you mean 'ActorCriticRecurrent'?"
    )
    with pytest.raises(ConfigError, match=r"^\[1\] \(list\) should be a dict of rsl_rl's$"):
        upgrade([1])
