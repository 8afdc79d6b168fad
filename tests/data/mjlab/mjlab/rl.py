"""The wrapper for rsl_rl, and settings of agents."""

from __future__ import annotations

import dataclasses

import stand_ins

from mjlab.envs import ManagerBasedRlEnv


class RslRlVecEnvWrapper(stand_ins.MjlabWrapper):
    def __init__(self, env, clip_actions=None):
        assert isinstance(env, ManagerBasedRlEnv)
        super().__init__(env, clip_actions)


@dataclasses.dataclass
class RslRlModelCfg:
    hidden_dims: tuple = (32,)
    activation: str = "elu"
    obs_normalization: bool = False
    cnn_cfg: dict | None = None
    distribution_cfg: dict | None = None
    rnn_type: str | None = None
    rnn_hidden_dim: int = 256
    rnn_num_layers: int = 1
    class_name: str = "MLPModel"


@dataclasses.dataclass
class RslRlPpoAlgorithmCfg:
    num_learning_epochs: int = 5
    num_mini_batches: int = 4
    learning_rate: float = 1e-3
    schedule: str = "adaptive"
    gamma: float = 0.99
    lam: float = 0.95
    entropy_coef: float = 0.01
    desired_kl: float = 0.01
    max_grad_norm: float = 1.0
    value_loss_coef: float = 1.0
    use_clipped_value_loss: bool = True
    clip_param: float = 0.2
    normalize_advantage_per_mini_batch: bool = False
    optimizer: str = "adam"
    share_cnn_encoders: bool = False
    class_name: str = "PPO"


GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 0.5, "std_type": "scalar"}


@dataclasses.dataclass
class RslRlOnPolicyRunnerCfg:
    seed: int = 42
    num_steps_per_env: int = 24
    max_iterations: int = 3
    obs_groups: dict = dataclasses.field(default_factory=lambda: {"actor": ("actor",), "critic": ("critic",)})
    save_interval: int = 50
    experiment_name: str = "point_mass"
    run_name: str = ""
    logger: str = "wandb"
    wandb_project: str = "mjlab"
    wandb_tags: tuple = ()
    resume: bool = False
    load_run: str = ".*"
    load_checkpoint: str = "model_.*.pt"
    clip_actions: float | None = None
    upload_model: bool = True
    class_name: str = "OnPolicyRunner"
    actor: RslRlModelCfg = dataclasses.field(default_factory=lambda: RslRlModelCfg(distribution_cfg=GAUSSIAN))
    critic: RslRlModelCfg = dataclasses.field(default_factory=RslRlModelCfg)
    algorithm: RslRlPpoAlgorithmCfg = dataclasses.field(default_factory=RslRlPpoAlgorithmCfg)
