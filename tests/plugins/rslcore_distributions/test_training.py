"""Every distribution trains with PPO, without reading a tensor on the host."""

from __future__ import annotations

import math

import envs
import gymnasium
import pytest
import torch
from gymnasium import spaces
from tensordict import TensorDict

from rslcore.context import Context
from rslcore.evaluation import load_policy
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.training import train


@pytest.fixture
def multi_discrete():
    """The id of an env with three discrete actions."""
    id = "rslcore_tests/MultiDiscrete-v0"
    gymnasium.register(
        id, entry_point=envs.Spaces, max_episode_steps=5, kwargs={"action_space": spaces.MultiDiscrete([2, 5, 3])}
    )
    yield id
    del gymnasium.registry[id]


@pytest.mark.parametrize(
    ("distribution", "env"),
    [
        ("{name: gaussian, learn_std: false}", "pendulum"),
        ("{name: gaussian, std_range: [0.1, 1.0]}", "pendulum"),
        ("{name: heteroscedastic_gaussian, init_std: 0.5}", "pendulum"),
        ("{name: heteroscedastic_gaussian, std_type: log}", "pendulum"),
        ("{name: beta}", "pendulum"),
        ("{name: beta, range: [-0.5, 0.5]}", "pendulum"),
        ("{name: categorical}", "cartpole"),
        ("{name: multi_categorical}", "cartpole"),
        ("{name: multi_categorical}", "multi_discrete"),
    ],
)
def test_train_with_distribution(small_config, tmp_path, count_reads, reads_of_runs, multi_discrete, distribution, env):
    overrides = [f"policy.actor.distribution={distribution}", "algorithm.num_learning_epochs=2"]
    overrides += ["algorithm.num_mini_batches=2", "num_threads=1"]
    if env == "multi_discrete":
        overrides += [f"env.id={multi_discrete}", "env.vectorization=sync"]
    config = small_config(*overrides, recipe="pendulum" if env == "pendulum" else "cartpole")
    results = []

    def run():
        results.append(train(config, log_root=tmp_path, quiet=True))

    run()  # torch itself reads a scalar once, when some of its parts are first used
    # In the second iteration episodes of CartPole end, which leaves rows that are no transitions: minibatches,
    # advantages and normalization find the others once each.
    assert count_reads(run) == reads_of_runs(2, 8) + (3 if env == "cartpole" else 0)
    result = results[-1]
    assert result.iteration == 2
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert ("Policy/mean_std" in result.metrics) == (env == "pendulum")
    policy = load_policy(result.path)
    obs = {name: torch.zeros(7, *spec.shape) for name, spec in policy.spec.observations.items()}
    assert policy(obs).shape == (7, policy.spec.actions.num_actions)


@pytest.fixture
def build_policy(small_config):
    """An actor-critic whose distribution has a preference for the last layer."""

    def build():
        overrides = ("policy.actor.distribution={name: heteroscedastic_gaussian, init_std: 0.3}",)
        config = small_config(*overrides, recipe="pendulum")
        spec = EnvSpec(2, {"policy": TensorSpec((3,))}, ActionSpec(1, low=(-1.0,), high=(1.0,)))
        context = Context(default_registry(), config, torch.device("cpu"), 1, 8, spec=spec)
        return context.build(config.policy, "policy")

    return build


def test_policy_lets_the_distribution_initialize_the_output_layer(build_policy):
    policy = build_policy()
    assert policy.actor.output_layer is policy.actor.layers[-1]
    params, _ = policy.actor_params(TensorDict({"policy": torch.randn(5, 3)}, batch_size=[5]), {})
    torch.testing.assert_close(params["std"], torch.full((5, 1), 0.3))


def test_policy_leaves_a_network_without_output_layer_as_it_is(build_policy, monkeypatch):
    monkeypatch.delattr("rslcore_networks.mlp.Mlp.output_layer")
    params, _ = build_policy().actor_params(TensorDict({"policy": torch.randn(5, 3)}, batch_size=[5]), {})
    assert len(params["std"].unique()) > 1
