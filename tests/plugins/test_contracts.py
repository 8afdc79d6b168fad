"""Every component that is installed keeps the contract of its kind, found through the registry."""

from __future__ import annotations

import pytest

from rslcore.testing import (
    AlgorithmContract,
    DistributionContract,
    EnvContract,
    ExtensionContract,
    LoggerContract,
    NetworkContract,
    PolicyContract,
    RolloutStorageContract,
    RunnerContract,
)


def case(contract, component, **fixtures):
    """A class of tests of a component; other fixtures are overridden by values."""
    values = {"component": component, **fixtures}
    return type(contract.__name__, (contract,), {name: _fixture(value) for name, value in values.items()})


def _fixture(value):
    return pytest.fixture(lambda self: value)


DISCRETE, MULTI, BOUNDED = ({"name": "fake", "actions": name} for name in ("discrete", "multi_discrete", "bounded"))
SMALL = {"name": "mlp", "hidden_dims": [8]}
RECURRENT = {"hidden_dims": [8], "rnn_hidden_dim": 8, "normalize": True}
NETWORKS = {"actor": {"network": SMALL, "distribution": {"name": "gaussian"}}, "critic": {"network": SMALL}}

TestMlp = case(NetworkContract, {"name": "mlp", "hidden_dims": [8, 8], "normalize": True})
TestLstm = case(NetworkContract, {"name": "lstm", **RECURRENT})
TestGru = case(NetworkContract, {"name": "gru", **RECURRENT, "rnn_num_layers": 2})
TestCnn = case(
    NetworkContract,
    {
        "name": "cnn",
        "groups": ["policy", "camera"],
        "hidden_dims": [8],
        "encoder": {"channels": [2], "norm": ["batch"]},
    },
    env={"name": "fake", "groups": {"policy": [3], "camera": [1, 8, 8]}},
)
TestGaussian = case(DistributionContract, {"name": "gaussian"})
TestHeteroscedastic = case(DistributionContract, {"name": "heteroscedastic_gaussian"})
TestBeta = case(DistributionContract, {"name": "beta"}, env=BOUNDED)
TestCategorical = case(DistributionContract, {"name": "categorical"}, env=DISCRETE)
TestMultiCategorical = case(DistributionContract, {"name": "multi_categorical"}, env=MULTI)
TestActorCritic = case(PolicyContract, {"name": "actor_critic", **NETWORKS})
TestRollout = case(RolloutStorageContract, {"name": "rollout"})
TestOnPolicy = case(RunnerContract, {"name": "on_policy", "num_steps_per_env": 8})
TestGymnasium = case(EnvContract, {"name": "gymnasium", "id": "Pendulum-v1", "num_envs": 3})
TestGymnasiumNextStep = case(EnvContract, {"name": "gymnasium", "id": "CartPole-v1", "num_envs": 3})
TestFakeEnv = case(EnvContract, {"name": "fake"})
TestConsole = case(LoggerContract, {"name": "console"})
TestTensorboard = case(LoggerContract, {"name": "tensorboard"})
TestPpo = case(AlgorithmContract, {"name": "ppo", "num_mini_batches": 2, "num_learning_epochs": 2})
TestRnd = case(ExtensionContract, {"name": "rnd", "state_normalization": True})
TestFakeExtension = case(ExtensionContract, {"name": "fake"})
TestSymmetry = case(ExtensionContract, {"name": "symmetry", "function": "mirrors:same"})
