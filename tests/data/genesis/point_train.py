"""What `PointEnv` is trained with, in the shape of rsl_rl 5."""

from __future__ import annotations

import point_env

CLASS = point_env.PointEnv
REWARD_CFG = {"reward_scales": {"near": 1.0, "smooth": -0.5}}


def get_train_cfg(exp_name):
    model = {"class_name": "MLPModel", "hidden_dims": [32], "activation": "elu"}
    distribution = {"class_name": "GaussianDistribution", "init_std": 0.5, "std_type": "scalar"}
    return {
        "algorithm": {"class_name": "PPO", "learning_rate": 0.002, "schedule": "adaptive", "desired_kl": 0.01},
        "actor": {**model, "distribution_cfg": distribution},
        "critic": model,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "num_steps_per_env": 12,
        "save_interval": 100,
        "run_name": exp_name,
        "logger": "tensorboard",
    }


def get_asymmetric_cfg(exp_name):
    """Its critic observes more, given as a tuple."""
    return {**get_train_cfg(exp_name), "obs_groups": {"actor": ("policy",), "critic": ("policy", "critic")}}


def get_short_cfg(exp_name="short", max_iterations=300):
    """Has defaults of its own for what the run may say."""
    return {**get_train_cfg(exp_name), "experiment_name": exp_name, "max_iterations": max_iterations}


def get_cfgs():
    env_cfg = {"num_actions": 2, "joint_names": ["x", "y"], "episode_length_s": 0.8}
    return env_cfg, {"obs_scales": {"position": 1.0}}, REWARD_CFG, {"num_commands": 3}


def get_env_cfg():
    return get_cfgs()[0]


def get_two_cfgs():
    return get_cfgs()[:2]


def get_live_cfgs():
    return get_env_cfg(), {"draws": iter(()), "noise": (number for number in ())}


def get_old_cfgs():
    raise RuntimeError("no such robot")


def get_arguments(args):
    return get_train_cfg(args.exp_name)


def get_nothing():
    return None
