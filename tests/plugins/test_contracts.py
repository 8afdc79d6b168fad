"""Every component that is installed keeps the contract of its kind, found through the registry."""

from __future__ import annotations

import inspect
import sys

import numpy
import pytest

from rslcore.config import ExperimentConfig, structure
from rslcore.errors import ConfigError
from rslcore.registry import KINDS, Registry
from rslcore.testing import (
    AlgorithmContract,
    Contract,
    DistributionContract,
    EnvContract,
    ExtensionContract,
    LoggerContract,
    NetworkContract,
    PolicyContract,
    ReplayStorageContract,
    RolloutStorageContract,
    RunnerContract,
    make_case,
)
from rslcore.training import train

DISCRETE, MULTI, BOUNDED = ({"name": "fake", "actions": name} for name in ("discrete", "multi_discrete", "bounded"))
IMAGES = {"name": "fake", "groups": {"policy": [3], "camera": [1, 8, 8]}}
NEXT_STEP = {"name": "fake", "autoreset": "next_step"}
PRIVILEGED = {"name": "fake", "groups": {"policy": [3], "privileged": [2]}}
SMALL = {"name": "mlp", "hidden_dims": [8]}
MEMORY = {"hidden_dims": [8], "rnn_hidden_dim": 8, "normalize": True}
ENCODER = {"channels": [2], "norm": ["batch"]}
GAUSSIAN = {"name": "gaussian"}
FEW_UPDATES = {"num_mini_batches": 2, "num_learning_epochs": 2}


def actor_critic(network, distribution=GAUSSIAN):
    return {
        "name": "actor_critic",
        "actor": {"network": network, "distribution": distribution},
        "critic": {"network": network},
    }


TestMlp = make_case(NetworkContract, component={"name": "mlp", "hidden_dims": [8, 8], "normalize": True})
TestLstm = make_case(NetworkContract, component={"name": "lstm", **MEMORY})
TestGru = make_case(NetworkContract, component={"name": "gru", **MEMORY, "rnn_num_layers": 2})
TestCnn = make_case(
    NetworkContract,
    component={"name": "cnn", "groups": ["policy", "camera"], "hidden_dims": [8], "encoder": ENCODER},
    env=IMAGES,
)

TestGaussian = make_case(DistributionContract, component=GAUSSIAN)
TestGaussianLog = make_case(DistributionContract, component={"name": "gaussian", "std_type": "log"})
TestHeteroscedastic = make_case(DistributionContract, component={"name": "heteroscedastic_gaussian"})
TestBeta = make_case(DistributionContract, component={"name": "beta"}, env=BOUNDED)
TestCategorical = make_case(DistributionContract, component={"name": "categorical"}, env=DISCRETE)
TestMultiCategorical = make_case(DistributionContract, component={"name": "multi_categorical"}, env=MULTI)

TestActorCritic = make_case(PolicyContract, component=actor_critic(SMALL))
TestActorCriticMemory = make_case(PolicyContract, component=actor_critic({"name": "gru", **MEMORY}))

TestPpo = make_case(AlgorithmContract, component={"name": "ppo", **FEW_UPDATES})
TestPpoMemory = make_case(
    AlgorithmContract,
    component={"name": "ppo", **FEW_UPDATES},
    policy=actor_critic({"name": "lstm", **MEMORY}),
    env=NEXT_STEP,
    # Once a rollout: ends and validity for sequences (2), valid rows for advantages and normalization (2), states that
    # go on (1). The envs of 4 minibatches are drawn on the host, where sequences are split.
    host_reads=9,
)

TestPpoSeveralDiscreteActions = make_case(
    AlgorithmContract,
    component={"name": "ppo", **FEW_UPDATES},
    policy=actor_critic(SMALL, {"name": "multi_categorical"}),
    env=MULTI,
)

SOFT = {
    "name": "soft_actor_critic",
    "actor": {"network": {**SMALL, "normalize": True}},
    "critic": {"hidden_dims": [8], "normalize": True},
}
REPLAY = {"name": "replay", "capacity": 400}
TestSoftActorCritic = make_case(
    PolicyContract,
    component=SOFT,
    env=BOUNDED,
    storage=REPLAY,
    algorithm={"name": "fast_sac"},
)
TestFastSac = make_case(
    AlgorithmContract,
    component={"name": "fast_sac", "num_updates": 4, "batch_size": 16, "learning_starts": 32},
    env=BOUNDED,
    policy=SOFT,
    storage={**REPLAY, "save": True},
)
TestReplay = make_case(ReplayStorageContract, component=REPLAY)
TestReplaySaved = make_case(ReplayStorageContract, component={**REPLAY, "save": True})

TestRnd = make_case(
    ExtensionContract, component={"name": "rnd", "state_normalization": True, "reward_normalization": True}
)
TestEstimator = make_case(ExtensionContract, component={"name": "estimator"}, env=PRIVILEGED)
TestEstimatorVariational = make_case(
    ExtensionContract,
    component={"name": "estimator", "loss": "variational"},
    env={**PRIVILEGED, **NEXT_STEP},
    host_reads=4,  # valid rows, once a rollout: for minibatches, advantages, and two normalizations
)
TestSymmetry = make_case(
    ExtensionContract, component={"name": "symmetry", "function": "mirrors:same", "use_mirror_loss": True}
)

TestRollout = make_case(RolloutStorageContract, component={"name": "rollout"})
TestOnPolicy = make_case(RunnerContract, component={"name": "on_policy", "num_steps_per_env": 8})
TestConsole = make_case(LoggerContract, component={"name": "console"})
TestTensorboard = make_case(LoggerContract, component={"name": "tensorboard"})
TestJsonl = make_case(LoggerContract, component={"name": "jsonl"})
TestCsv = make_case(LoggerContract, component={"name": "csv"})
TestWandb = make_case(LoggerContract, component={"name": "wandb", "mode": "offline", "upload_models": True})

TestGymnasium = make_case(EnvContract, component={"name": "gymnasium", "id": "Pendulum-v1", "num_envs": 3})
TestGymnasiumNextStep = make_case(EnvContract, component={"name": "gymnasium", "id": "CartPole-v1", "num_envs": 3})
TestGymnasiumMultiDiscrete = make_case(
    EnvContract,
    component={"name": "gymnasium", "id": "rslcore_multi_discrete.envs:HalfCheetahMultiDiscrete-v0", "num_envs": 3},
    num_steps=1001,
)

STAND_IN = {"name": "vec_env", "num_envs": 3}
TestVecEnv = make_case(EnvContract, component={**STAND_IN, "factory": "stand_ins:isaac_lab"})
TestVecEnvOfRslRl2 = make_case(EnvContract, component={**STAND_IN, "factory": "stand_ins:isaac_lab_2"})
TestVecEnvMjlab = make_case(
    EnvContract,
    component={**STAND_IN, "factory": "stand_ins:mjlab", "kwargs": {"final_obs": True}, "final_obs": True},
)
TestVecEnvGenesis = make_case(EnvContract, component={**STAND_IN, "factory": "stand_ins:genesis"})
TestVecEnvLeggedGym = make_case(EnvContract, component={**STAND_IN, "factory": "stand_ins:legged_gym"})


class TestVecEnvPlayground(EnvContract):
    @pytest.fixture
    def component(self):
        return {**STAND_IN, "factory": "stand_ins:playground"}

    def test_random_starts_are_below_the_limit(self, built):
        """It has no counter of steps, and says so."""
        with pytest.raises(ConfigError, match="has no `episode_length_buf`"):
            built.randomize_episode_steps()


class TestPlayground(TestVecEnvPlayground):
    @pytest.fixture
    def component(self, playground):
        return {"name": "playground", "task": "PointMass", "num_envs": 3}


class TestGenesis(EnvContract):
    @pytest.fixture
    def component(self, genesis):
        options = {"factory": "point_env:PointEnv", "cfgs": "point_train:get_cfgs"}
        return {"name": "genesis", **options, "num_envs": 3}


class TestIsaacLab(EnvContract):
    @pytest.fixture
    def component(self, isaaclab):
        return {"name": "isaaclab", "task": "Isaac-Point-Mass-v0", "num_envs": 3}


class TestMjlab(EnvContract):
    @pytest.fixture
    def component(self, mjlab):
        return {"name": "mjlab", "task": "Mjlab-Point-Mass", "num_envs": 3}


TestFakeEnv = make_case(EnvContract, component={"name": "fake"})
TestFakeEnvNextStep = make_case(EnvContract, component=NEXT_STEP)
TestFakeExtension = make_case(ExtensionContract, component={"name": "fake"})


class TestAmp(ExtensionContract):
    @pytest.fixture
    def component(self, tmp_path):
        file = tmp_path / "motions.npz"
        frames = numpy.random.default_rng(0).normal(size=(12, 3)).astype(numpy.float32)
        numpy.savez(file, **{"num_frames": numpy.array([8, 4]), "obs/policy": frames})
        return {"name": "amp", "motions": str(file), "hidden_dims": [8], "replay_size": 64}


class Student:
    """What student and teacher need: a run whose policy is imitated."""

    @pytest.fixture
    def student_teacher(self, env, registry, tmp_path):
        data = {
            "device": "cpu",
            "iterations": 1,
            "env": env,
            "runner": {"name": "on_policy", "num_steps_per_env": 8},
            "policy": actor_critic(SMALL),
            "algorithm": {"name": "ppo"},
            "storage": {"name": "rollout"},
        }
        config = structure(data, ExperimentConfig, registry)
        run = train(config, log_root=tmp_path / "teacher", quiet=True, registry=registry).path
        student = {"network": SMALL, "distribution": GAUSSIAN}
        return {"name": "student_teacher", "student": student, "teacher": {"run": str(run)}}


class TestStudentTeacher(Student, PolicyContract):
    @pytest.fixture
    def component(self, student_teacher):
        return student_teacher

    @pytest.fixture
    def algorithm(self):
        return {"name": "distillation"}


class TestDistillation(Student, AlgorithmContract):
    @pytest.fixture
    def component(self):
        return {"name": "distillation", "gradient_length": 4}

    @pytest.fixture
    def policy(self, student_teacher):
        return student_teacher


WRITTEN_OUT = {
    TestVecEnvPlayground: "vec_env",
    TestPlayground: "playground",
    TestGenesis: "genesis",
    TestIsaacLab: "isaaclab",
    TestMjlab: "mjlab",
    TestAmp: "amp",
    TestStudentTeacher: "student_teacher",
    TestDistillation: "distillation",
}


def test_every_installed_component_has_a_case():
    members = vars(sys.modules[__name__]).values()
    cases = [case for case in members if inspect.isclass(case) and issubclass(case, Contract)]
    names = {**{case: case.fixtures["component"]["name"] for case in cases if hasattr(case, "fixtures")}, **WRITTEN_OUT}
    tested = {(case.kind, name) for case, name in names.items()}
    registry = Registry.discover()
    ours = {(kind, entry.name) for kind in KINDS for entry in registry.entries(kind) if entry.factory[:8] == "rslcore_"}
    assert ours <= tested, f"write cases in {__file__} for {sorted(ours - tested)}"
