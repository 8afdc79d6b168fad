"""Of tasks that walk."""

from __future__ import annotations


class Settings(dict):
    """As a ConfigDict of ml_collections."""

    def to_dict(self):
        return dict(self)


def rsl_rl_config(env_name, unused_impl=None):
    return Settings(
        seed=1,
        runner_class_name="OnPolicyRunner",
        policy={
            "init_noise_std": 1.0,
            "actor_hidden_dims": [32],
            "critic_hidden_dims": [32],
            "activation": "elu",
            "class_name": "ActorCritic",
        },
        algorithm={"class_name": "PPO", "learning_rate": 3.0e-4, "schedule": "fixed", "entropy_coef": 0.001},
        num_steps_per_env=24,
        max_iterations=1000,
        empirical_normalization=True,
        save_interval=50,
        experiment_name="test",
    )
