"""What each project gives rsl_rl's runner to train its env of `stand_ins`: dicts of rsl_rl 1 to 5, made small."""

from __future__ import annotations

GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 0.8}
ALGORITHM = {"class_name": "PPO", "num_learning_epochs": 2, "num_mini_batches": 2, "learning_rate": 1e-3}
RUNNER = {"num_steps_per_env": 8, "save_interval": 2, "seed": 1}

FIVE = {
    **RUNNER,
    "obs_groups": {"actor": ["policy"], "critic": ["policy", "critic"]},
    "actor": {"class_name": "MLPModel", "hidden_dims": [8], "obs_normalization": True, "distribution_cfg": GAUSSIAN},
    "critic": {"class_name": "MLPModel", "hidden_dims": [8], "obs_normalization": True},
    "algorithm": ALGORITHM,
}

FOUR = {
    **FIVE,
    "actor": {"class_name": "MLPModel", "hidden_dims": [8], "stochastic": True, "init_noise_std": 0.8},
    "critic": {"class_name": "MLPModel", "hidden_dims": [8], "stochastic": False},
}

THREE = {
    **RUNNER,
    "policy": {
        "class_name": "ActorCritic",
        "init_noise_std": 0.8,
        "actor_hidden_dims": [8],
        "critic_hidden_dims": [8],
        "activation": "elu",
    },
    "empirical_normalization": True,
    "algorithm": ALGORITHM,
}

AGENTS = {
    "isaac_lab": FIVE,
    "isaac_lab_2": {**THREE, "empirical_normalization": False},
    "mjlab": {  # as `dataclasses.asdict` gives it: tuples, and None for what is not set
        **FIVE,
        "obs_groups": {"actor": ("actor",), "critic": ("critic",)},
        "actor": {**FIVE["actor"], "hidden_dims": (8,), "cnn_cfg": None, "rnn_type": None, "rnn_hidden_dim": None},
        "critic": {**FIVE["critic"], "hidden_dims": (8,), "cnn_cfg": None, "distribution_cfg": None},
        "experiment_name": "cartpole",
        "run_name": "",
        "logger": "tensorboard",
        "wandb_tags": (),
        "upload_model": False,
        "clip_actions": None,
        "class_name": "OnPolicyRunner",
    },
    "genesis": {
        **FOUR,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "runner_class_name": "OnPolicyRunner",
    },
    "playground": {
        **THREE,
        "obs_groups": {"policy": ["state"], "critic": ["privileged_state"]},
        "runner_class_name": "OnPolicyRunner",
    },
    "legged_gym": {
        "seed": 1,
        "runner_class_name": "OnPolicyRunner",
        "policy": {key: value for key, value in THREE["policy"].items() if key != "class_name"},
        "algorithm": {key: value for key, value in ALGORITHM.items() if key != "class_name"},
        "runner": {
            "policy_class_name": "ActorCritic",
            "algorithm_class_name": "PPO",
            "num_steps_per_env": 8,
            "max_iterations": 10,
            "save_interval": 2,
            "experiment_name": "flat_anymal",
            "run_name": "",
            "resume": False,
            "load_run": -1,
            "checkpoint": -1,
            "resume_path": None,
        },
    },
}
"""By project; see `stand_ins.FAMILIES`."""

RECURRENT = {
    **FIVE,
    "actor": {**FIVE["actor"], "class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 6},
    "critic": {**FIVE["critic"], "class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 6},
}

RND = {
    **FIVE,
    "obs_groups": {**FIVE["obs_groups"], "rnd_state": ["policy"]},
    "algorithm": {
        **ALGORITHM,
        "rnd_cfg": {"num_outputs": 3, "predictor_hidden_dims": [8], "target_hidden_dims": [8], "weight": 0.5},
    },
}

STUDENT = {
    **RUNNER,
    "obs_groups": {"student": ["policy"], "teacher": ["policy"]},
    "student": {"class_name": "MLPModel", "hidden_dims": [8], "distribution_cfg": {**GAUSSIAN, "init_std": 0.1}},
    "teacher": {
        "class_name": "MLPModel",
        "hidden_dims": [8],
        "obs_normalization": True,
        "distribution_cfg": {**GAUSSIAN, "init_std": 0.0},  # as Isaac Lab has it
    },
    "algorithm": {"class_name": "Distillation", "num_learning_epochs": 2, "gradient_length": 4},
}
"""Distills what `FIVE` has trained."""
