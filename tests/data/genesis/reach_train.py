"""What `ReachEnv` is trained with: settings of rsl_rl 2, and of something else after them."""

from __future__ import annotations


def get_train_cfg(exp_name, max_iterations):
    settings = {
        "algorithm": {"class_name": "PPO", "learning_rate": 0.0003, "entropy_coef": 0.0},
        "policy": {
            "activation": "relu",
            "actor_hidden_dims": [16],
            "critic_hidden_dims": [16],
            "init_noise_std": 1.0,
            "class_name": "ActorCritic",
        },
        "init_member_classes": {},
        "runner": {"checkpoint": -1, "experiment_name": exp_name, "max_iterations": max_iterations},
        "runner_class_name": "OnPolicyRunner",
        "num_steps_per_env": 8,
        "save_interval": 100,
        "empirical_normalization": None,
        "seed": 3,
    }
    return settings, {"num_epochs": 5}


def get_task_cfgs():
    return {"num_envs": 10, "num_actions": 2, "episode_length_s": 0.4}, {"keypoints": 1.0}, {"link": "hand"}
