"""Dicts of rsl_rl 5 that tests of translating change, and what becomes of them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rslcore.errors import ConfigError
from rslcore.registry import default_registry
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.sections import plain
from rslcore_rsl_rl.translation import structure_translated, translate

ENV = {"name": "gymnasium", "id": "CartPole-v1"}
GAUSSIAN = {"class_name": "GaussianDistribution"}
PPO = {
    "algorithm": {"class_name": "PPO"},
    "actor": {"class_name": "MLPModel", "distribution_cfg": GAUSSIAN},
    "critic": {"class_name": "MLPModel"},
    "obs_groups": {"actor": ["policy"], "critic": ["policy", "privileged"]},
    "num_steps_per_env": 24,
}
DISTILLATION = {
    "algorithm": {"class_name": "Distillation", "gradient_length": 12},
    "student": {"class_name": "RNNModel", "distribution_cfg": GAUSSIAN},
    "teacher": {"class_name": "MLPModel", "distribution_cfg": GAUSSIAN | {"init_std": 0.0}},
    "obs_groups": {"student": ["policy"], "teacher": ["policy", "privileged"]},
    "num_steps_per_env": 24,
}
GROUPS = {name: TensorSpec(shape) for name, shape in (("policy", (6,)), ("privileged", (3,)), ("camera", (3, 8, 8)))}
CNN = {"output_channels": [4, 6], "kernel_size": 3}
RND = {"num_outputs": 1, "predictor_hidden_dims": [4], "target_hidden_dims": [5], "weight": 0.5}
CUSTOM = (
    "is no class of rsl_rl; rslcore has no place for it here: it would have to be a plugin of rslcore, or an extension "
    "of PPO, see 'Configs' in docs/rsl_rl.md"
)


def changed(base: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """A config with some keys of some sections, or whole keys, set."""
    config = copy.deepcopy(base)
    for name, values in sections.items():
        if isinstance(values, dict) and isinstance(config.get(name), dict):
            config[name] |= values
        else:
            config[name] = values
    return config


def translated(config: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The plain config of a translation that has nothing to note and is one of ours."""
    before = copy.deepcopy(config)
    translation = translate(config, **options)
    assert config == before
    assert translation.notes == ()
    assert plain(translation.config) == translation.config
    structure_translated(translation, ENV, default_registry())
    return translation.config


def problems_of(config: Any, **options: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        translate(config, **options)
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems), "a path is told twice"
    return found
