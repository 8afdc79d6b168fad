"""Translates a case to rsl_rl's config, and builds and runs its algorithm there.

`PPO.construct_algorithm` and `Distillation.construct_algorithm` do the building, as for rsl_rl's own runners.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from parity.case import Case
from parity.rollouts import Rollout
from rsl_rl.algorithms import PPO, Distillation
from tensordict import TensorDict
from torch import Tensor

ACTIVATIONS = {"leaky_relu": "lrelu", "celu": "crelu", "silu": "swish"}
DISTRIBUTIONS = {
    "gaussian": "GaussianDistribution",
    "heteroscedastic_gaussian": "HeteroscedasticGaussianDistribution",
    "beta": "BetaDistribution",
}
PPO_DEFAULTS = {"schedule": "fixed"}
OURS_ALONE = ("shuffle", "bootstrap", "normalize_advantage", "extensions")
"""Options of PPO that rsl_rl has no switch for, or another one."""


def build_ppo(case: Case) -> PPO:
    """PPO, in training mode."""
    ppo = PPO.construct_algorithm(_example(case), make_env(case), ppo_config(case), "cpu")
    ppo.train_mode()
    return ppo


def ppo_config(case: Case) -> dict[str, Any]:
    """What rsl_rl's runner takes for PPO."""
    options = {key: value for key, value in case.algorithm.items() if key not in OURS_ALONE}
    extensions = {extension["name"]: extension for extension in case.algorithm.get("extensions", ())}
    groups = {"actor": _groups(case.actor), "critic": _groups(case.critic)}
    if case.share_encoders:
        options["share_cnn_encoders"] = True
    if "rnd" in extensions:
        options["rnd_cfg"] = _without(extensions["rnd"], "name", "groups", "reward_observation")
        groups["rnd_state"] = _groups(extensions["rnd"])
    if "symmetry" in extensions:
        options["symmetry_cfg"] = _without(extensions["symmetry"], "name", "function")
        options["symmetry_cfg"]["data_augmentation_func"] = extensions["symmetry"]["function"]
    return {
        "algorithm": {
            "class_name": "PPO",
            "normalize_advantage_per_mini_batch": case.algorithm.get("normalize_advantage") == "minibatch",
            **PPO_DEFAULTS,
            **options,
        },
        "actor": translate_network(case.actor) | {"distribution_cfg": translate_distribution(case.distribution)},
        "critic": translate_network(case.critic),
        "obs_groups": groups,
        "num_steps_per_env": case.num_steps,
        "multi_gpu": None,
    }


def build_distillation(case: Case) -> Distillation:
    """Distillation, in training mode."""
    config = distillation_config(case)
    distillation = Distillation.construct_algorithm(_example(case), make_env(case), config, "cpu")
    distillation.train_mode()
    return distillation


def distillation_config(case: Case) -> dict[str, Any]:
    """What rsl_rl's runner takes for distillation; the teacher has a distribution, of which it takes the mean."""
    assert case.teacher is not None
    distribution = {"distribution_cfg": translate_distribution(case.distribution)}
    return {
        "algorithm": {"class_name": "Distillation", **case.algorithm},
        "student": translate_network(case.actor) | distribution,
        "teacher": translate_network(case.teacher) | distribution,
        "obs_groups": {"student": _groups(case.actor), "teacher": _groups(case.teacher)},
        "num_steps_per_env": case.num_steps,
        "multi_gpu": None,
    }


def translate_network(network: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a model for that of a network."""
    config: dict[str, Any] = {
        "class_name": {"mlp": "MLPModel", "lstm": "RNNModel", "gru": "RNNModel", "cnn": "CNNModel"}[network["name"]],
        "hidden_dims": network["hidden_dims"],
        "activation": _activation(network),
        "obs_normalization": network.get("normalize", False),
    }
    if network["name"] in ("lstm", "gru"):
        config["rnn_type"] = network["name"]
        config |= {key: network[key] for key in ("rnn_hidden_dim", "rnn_num_layers") if key in network}
    if network["name"] == "cnn":
        images = [group for group in _groups(network) if group in network["encoders"]]
        config["cnn_cfg"] = {group: translate_encoder(network["encoders"][group]) for group in images}
    return config


def translate_encoder(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a CNN for that of an encoder; a list of one item holds for all layers."""
    names = {"kernel_sizes": "kernel_size", "strides": "stride", "dilations": "dilation"}
    config = {"output_channels": encoder["channels"], "kernel_size": 3, "activation": _activation(encoder)}
    for key, value in _without(encoder, "channels", "activation").items():
        config[names.get(key, key)] = value[0] if isinstance(value, list) and len(value) == 1 else value
    return config


def translate_distribution(distribution: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a distribution."""
    config = {"class_name": DISTRIBUTIONS[distribution["name"]], **_without(distribution, "name")}
    if "range" in config:
        config["action_range"] = config.pop("range")
    return config


def collect(algorithm: Any, model: Any, rollout: Rollout, actions: list[Tensor]) -> None:
    """Go through a rollout with given actions, which `model` is made to draw."""
    pending = iter(actions)
    model.distribution.sample = lambda: next(pending)
    try:
        with torch.inference_mode():
            for t, obs in enumerate(rollout.obs[:-1]):
                algorithm.act(obs)
                dones = (rollout.terminated[t] | rollout.truncated[t]).long()
                extras = {"time_outs": rollout.truncated[t]}
                algorithm.process_env_step(rollout.obs[t + 1], rollout.rewards[t], dones, extras)
            algorithm.compute_returns(rollout.obs[-1])
    finally:
        del model.distribution.sample


def make_env(case: Case) -> Any:
    """What constructors and runners ask of an env; weights of rewards are for steps of one second."""
    return SimpleNamespace(
        num_envs=case.num_envs,
        num_actions=case.num_actions,
        cfg={},
        unwrapped=SimpleNamespace(step_dt=1.0),
        get_observations=lambda: _example(case),
    )


def _example(case: Case) -> TensorDict:
    groups = {name: torch.zeros(case.num_envs, *shape) for name, shape in case.observations.items()}
    return TensorDict(groups, batch_size=[case.num_envs])


def _groups(config: Mapping[str, Any]) -> list[str]:
    return list(config.get("groups", ["policy"]))


def _activation(config: Mapping[str, Any]) -> str:
    activation: str = config.get("activation", "elu")
    return ACTIVATIONS.get(activation, activation)


def _without(config: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}
