"""What rsl_rl's own config is translated to: the config that these tests compare with rsl_rl, and the same numbers."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import attrs
import pytest
from parity import ours, theirs
from parity.case import GAUSSIAN, GRU, IMAGES, LSTM, MLP, Case
from parity.comparison import check, default_precision
from parity.runs import run_distillation, run_ppo
from parity.test_distillation import CASES as DISTILLATION_CASES
from parity.test_distillation import TEACHER, WINDOWS
from parity.test_extensions import BOTH, NORMALIZED, RND, SYMMETRY
from parity.test_extensions import CASES as EXTENSION_CASES
from parity.test_ppo import CASES as PPO_CASES
from parity.test_ppo import CNN, SMALL_ENCODER
from rsl_rl import modules
from rsl_rl.algorithms import PPO, Distillation
from rsl_rl.extensions import RandomNetworkDistillation, Symmetry
from rsl_rl.models import CNNModel, MLPModel, RNNModel
from rsl_rl.modules.distribution import (
    BetaDistribution,
    GaussianDistribution,
    HeteroscedasticGaussianDistribution,
)

from rslcore.config import ExperimentConfig, evolve, unstructure
from rslcore.registry import default_registry
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.sections import plain
from rslcore_rsl_rl.translation import TEACHER_RUN, structure_translated, translate

ENV = {"name": "gymnasium", "id": "CartPole-v1"}

SHARED = CNN | {"groups": ["policy", "camera"], "encoders": SMALL_ENCODER}

FURTHER_CASES = [
    Case(name="shared encoders", actor=SHARED, critic=SHARED, share_encoders=True, observations=IMAGES),
    Case(name="beta in [-2, 3]", distribution={"name": "beta", "range": [-2.0, 3.0]}),
    Case(name="narrow std", distribution=GAUSSIAN | {"std_range": [0.1, 0.9], "std_type": "log"}),
    Case(name="bf16", algorithm={"precision": "bf16"}),
]


def translated(case: Case, config: dict[str, Any]) -> ExperimentConfig:
    observations = {name: TensorSpec(shape) for name, shape in case.observations.items()}
    before = copy.deepcopy(config)
    translation = translate(config, observations, step_dt=1.0)
    assert config == before
    assert translation.notes == ()
    assert plain(translation.config) == translation.config
    return structure_translated(translation, ENV, default_registry())


def without_marks(cases: list[Any]) -> list[Case]:
    return [case.values[0] if hasattr(case, "values") else case for case in cases]


@pytest.mark.parametrize(
    "case", without_marks([*PPO_CASES, *EXTENSION_CASES, *FURTHER_CASES]), ids=lambda case: case.name
)
def test_translated_ppo_is_the_config_that_agrees(case):
    theirs_of_case = theirs.ppo_config(case)
    if "precision" in case.algorithm:
        del theirs_of_case["algorithm"]["precision"]
        theirs_of_case["algorithm"]["use_mixed_precision"] = True
    found = translated(case, theirs_of_case)
    compared = ours.make_context(case, ours.ppo_config(case)).config
    # Without final observations both kinds of bootstrap are the same.
    assert found.algorithm.config.bootstrap == "final_observation"
    algorithm = attrs.evolve(found.algorithm, config=evolve(found.algorithm.config, bootstrap="last_value"))
    assert unstructure(algorithm) == unstructure(compared.algorithm)
    assert unstructure(found.policy) == unstructure(compared.policy)
    assert found.storage == compared.storage
    assert found.runner.config.num_steps_per_env == case.num_steps


@pytest.mark.parametrize("case", DISTILLATION_CASES, ids=lambda case: case.name)
def test_translated_distillation_is_the_config_that_agrees(case):
    found = translated(case, theirs.distillation_config(case))
    compared = ours.make_context(case, ours.distillation_config(case)).config
    policy = unstructure(found.policy)
    assert policy.pop("teacher")["run"] == TEACHER_RUN
    assert policy == {key: value for key, value in unstructure(compared.policy).items() if key != "teacher"}
    assert unstructure(found.algorithm) == unstructure(compared.algorithm)


@pytest.mark.parametrize(
    "case",
    [
        Case(name="mlp", actor=MLP | {"normalize": True}, algorithm={"schedule": "adaptive"}),
        Case(name="lstm", actor=LSTM),
        Case(name="gru", actor=GRU | {"rnn_num_layers": 2}, algorithm={"num_mini_batches": 2}),
        Case(name="cnn", actor=SHARED, critic=CNN, observations=IMAGES),
        Case(name="heteroscedastic", distribution={"name": "heteroscedastic_gaussian", "std_type": "log"}),
        Case(name="beta", distribution={"name": "beta", "range": [0.0, 1.0]}),
        Case(name="rnd", algorithm={"extensions": [NORMALIZED]}),
        Case(name="symmetry", algorithm={"extensions": [BOTH]}),
    ],
    ids=lambda case: case.name,
)
def test_translated_ppo_agrees(case, record_property, monkeypatch):
    def build(case: Case) -> Any:
        config = unstructure(translated(case, theirs.ppo_config(case)))
        return ours.build_trained(ours.make_context(case, {key: config[key] for key in ("policy", "algorithm")}))

    monkeypatch.setattr(ours, "build_ppo", build)
    with default_precision("float64"):
        check(run_ppo(case), record_property)


@pytest.mark.parametrize("network", [MLP, LSTM, GRU], ids=lambda network: network["name"])
def test_translated_distillation_agrees(network, record_property, monkeypatch):
    def config_of(case: Case) -> dict[str, Any]:
        config = unstructure(translated(case, theirs.distillation_config(case)))
        return {key: config[key] for key in ("policy", "algorithm")}

    monkeypatch.setattr(ours, "distillation_config", config_of)
    case = Case(name="", actor=network, teacher=TEACHER, algorithm=WINDOWS)
    with default_precision("float64"):
        check(run_distillation(case, monkeypatch), record_property)


NAMES = {
    "obs_normalization": "normalize",
    "output_channels": "channels",
    "kernel_size": "kernel_sizes",
    "stride": "strides",
    "dilation": "dilations",
    "action_range": "range",
}
SURROUNDINGS = ("self", "device", "multi_gpu_cfg", "kwargs", "cnns", "cnn_cfg", "distribution_cfg", "rnn_type")
MEANT_OTHERWISE = {
    "normalize_advantage_per_mini_batch": ("normalize_advantage", {False: "rollout"}),
    "use_mixed_precision": ("precision", {False: "fp32"}),
    "grad_reduce_bucket_mb": None,
    "rnd_cfg": None,
    "symmetry_cfg": None,
    "flatten": None,
    "weight_schedule": None,
}
MINIMAL = {
    "algorithm": {"class_name": "PPO"},
    "actor": {"class_name": "MLPModel", "distribution_cfg": {"class_name": "GaussianDistribution"}},
    "critic": {"class_name": "MLPModel"},
    "num_steps_per_env": 24,
}


def part(path: str, **changes: Any) -> dict[str, Any]:
    """What stands at a path of the translation of a config in which nothing is said that need not be."""
    config: Any = copy.deepcopy(MINIMAL)
    config["actor"]["distribution_cfg"] |= changes.pop("distribution_cfg", {})
    for name, values in changes.items():
        config[name] |= values
    found: Any = unstructure(structure_translated(translate(config), ENV, default_registry()))
    for key in path.split("."):
        found = found[int(key)] if key.isdigit() else found[key]
    return found


CNN_MODEL = {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [4], "kernel_size": 3}}
RND_CFG = {"num_outputs": 1, "predictor_hidden_dims": [4], "target_hidden_dims": [4]}
DISTILLED = {"class_name": "Distillation"}


@pytest.mark.parametrize(
    ("cls", "path", "changes"),
    [
        (PPO, "algorithm", {}),
        (MLPModel, "policy.actor.network", {}),
        (RNNModel, "policy.actor.network", {"actor": {"class_name": "RNNModel"}}),
        (CNNModel, "policy.actor.network", {"actor": CNN_MODEL}),
        (modules.CNN, "policy.actor.network.encoder", {"actor": CNN_MODEL}),
        (GaussianDistribution, "policy.actor.distribution", {}),
        (
            HeteroscedasticGaussianDistribution,
            "policy.actor.distribution",
            {"distribution_cfg": {"class_name": "HeteroscedasticGaussianDistribution"}},
        ),
        (BetaDistribution, "policy.actor.distribution", {"distribution_cfg": {"class_name": "BetaDistribution"}}),
        (RandomNetworkDistillation, "algorithm.extensions.0", {"algorithm": {"rnd_cfg": RND_CFG}}),
        (
            Symmetry,
            "algorithm.extensions.0",
            {"algorithm": {"symmetry_cfg": {"data_augmentation_func": SYMMETRY["function"]}}},
        ),
    ],
)
def test_defaults_are_those_of_rsl_rl(cls, path, changes):
    check_defaults(cls, part(path, **changes))


def test_defaults_of_distillation_are_those_of_rsl_rl():
    config = {
        "algorithm": DISTILLED,
        "student": MINIMAL["actor"],
        "teacher": MINIMAL["critic"],
        "num_steps_per_env": 15,
    }
    found = structure_translated(translate(config), ENV, default_registry())
    check_defaults(Distillation, unstructure(found.algorithm))


def check_defaults(cls: type, found: dict[str, Any]) -> None:
    checked = 0
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if parameter.default is inspect.Parameter.empty or name in SURROUNDINGS:
            continue
        default = plain(parameter.default)
        if name in MEANT_OTHERWISE:
            meant = MEANT_OTHERWISE[name]
            if meant is None:
                continue
            name, values = meant[0], meant[1]
            default = values[default]
        value = found[NAMES.get(name, name)]
        if isinstance(value, list) and not isinstance(default, list):
            default = [default]  # one for all layers
        assert value == default, name
        checked += 1
    assert checked


def test_reward_of_rnd_is_for_the_next_observation():
    found = part("algorithm.extensions.0", algorithm={"rnd_cfg": RND_CFG})
    assert found["reward_observation"] == RND["reward_observation"]
