"""fast_sac learns from few steps."""

from __future__ import annotations

from evaluating import trained_return


def test_fast_sac_learns_pendulum_from_few_steps(tmp_path):
    # A twelfth of the steps that the recipe for PPO takes. The seeds 1 to 3 reached -131 to -122.
    network = "{name: mlp, hidden_dims: [64, 64], activation: relu, normalize: true}"
    critic = "{hidden_dims: [64, 64], normalize: true, layer_norm: false}"
    overrides = (
        "iterations=120",
        "env.num_envs=8",
        "runner.num_steps_per_env=8",
        f"policy={{name: soft_actor_critic, actor: {{network: {network}}}, critic: {critic}}}",
        "algorithm={name: fast_sac, num_updates: 32, batch_size: 128, learning_starts: 1000, learning_rate: 2.0e-3, "
        "gamma: 0.97, target_rate: 0.01}",
        "storage={name: replay, capacity: 20_000}",
    )
    assert trained_return(tmp_path, "pendulum", *overrides) >= -200.0
