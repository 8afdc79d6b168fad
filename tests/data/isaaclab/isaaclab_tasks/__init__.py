"""Registers tasks."""

from __future__ import annotations

import gymnasium
from isaaclab.envs import ManagerBasedRLEnvCfg, ObservationsCfg

MISSING = {}
"""What `to_dict` makes of fields without a value."""

DISTRIBUTION = {"class_name": "GaussianDistribution", "init_std": 0.5, "std_type": "scalar"}
MODEL = {"class_name": "MLPModel", "hidden_dims": [32], "activation": "elu", "obs_normalization": False}


class PointMassRunnerCfg:
    """As an RslRlOnPolicyRunnerCfg."""

    clip_actions = 5.0

    def to_dict(self):
        return {
            "seed": 42,
            "device": "cuda:0",
            "num_steps_per_env": 24,
            "max_iterations": 3,
            "empirical_normalization": MISSING,
            "obs_groups": {"actor": ["policy"], "critic": ["policy", "critic"]},
            "clip_actions": self.clip_actions,
            "save_interval": 50,
            "experiment_name": "point_mass",
            "run_name": "",
            "logger": "tensorboard",
            "neptune_project": "isaaclab",
            "wandb_project": "isaaclab",
            "resume": False,
            "load_run": ".*",
            "load_checkpoint": "model_.*.pt",
            "class_name": "OnPolicyRunner",
            "policy": MISSING,
            "actor": {**MODEL, "distribution_cfg": DISTRIBUTION},
            "critic": MODEL,
            "algorithm": {
                "class_name": "PPO",
                "num_learning_epochs": 5,
                "num_mini_batches": 4,
                "learning_rate": 1.0e-3,
                "schedule": "adaptive",
                "gamma": 0.99,
                "lam": 0.95,
                "entropy_coef": 0.005,
                "desired_kl": 0.01,
                "max_grad_norm": 1.0,
                "optimizer": "adam",
                "value_loss_coef": 1.0,
                "use_clipped_value_loss": True,
                "clip_param": 0.2,
                "normalize_advantage_per_mini_batch": False,
                "share_cnn_encoders": False,
                "rnd_cfg": None,
                "symmetry_cfg": None,
            },
        }


class BlindCfg(ManagerBasedRLEnvCfg):
    """Without observations of the critic's own."""

    def __init__(self):
        super().__init__(observations=ObservationsCfg(critic=None))


class BlindRunnerCfg(PointMassRunnerCfg):
    """Says nothing of groups, as those of many tasks; the weight of rnd is for a second."""

    def to_dict(self):
        settings = {**super().to_dict(), "obs_groups": MISSING}
        settings["algorithm"] |= {
            "rnd_cfg": {"weight": 2.0, "num_outputs": 1, "predictor_hidden_dims": [8], "target_hidden_dims": [8]}
        }
        return settings


gymnasium.register(
    "Isaac-Point-Mass-Blind-v0",
    entry_point="isaaclab.envs:ManagerBasedRLEnv",
    disable_env_checker=True,
    kwargs={"env_cfg_entry_point": BlindCfg, "rsl_rl_cfg_entry_point": BlindRunnerCfg},
)
gymnasium.register(
    "Isaac-Point-Mass-v0",
    entry_point="isaaclab.envs:ManagerBasedRLEnv",
    disable_env_checker=True,
    kwargs={
        "env_cfg_entry_point": ManagerBasedRLEnvCfg,
        "rsl_rl_cfg_entry_point": f"{__name__}:PointMassRunnerCfg",
        "skrl_cfg_entry_point": f"{__name__}:skrl_ppo_cfg.yaml",
    },
)
