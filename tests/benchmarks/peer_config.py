"""The config of an rslcore run as one of rsl_rl, so that the hyper-parameters of a comparison are written down once.

What rsl_rl has no counterpart for is an error, unless it is one of the switches in which the libraries differ by
design.
"""

from __future__ import annotations

from typing import Any

from rslcore.config import ExperimentConfig, unstructure

ACTIVATIONS = {"silu": "swish", "leaky_relu": "lrelu", "celu": "crelu"}
"""Where rsl_rl has another name."""

SWITCHES = ("bootstrap", "shuffle", "extensions", "execution", "micro_batch_size")
"""Options of PPO that rsl_rl does not have; see the variants of `learning_parity.py`."""


def to_rsl_rl(config: ExperimentConfig) -> dict[str, Any]:
    """The dict that rsl_rl's `OnPolicyRunner` takes.

    Raises:
        ValueError: An option has no counterpart.
    """
    tree = unstructure(config)
    actor, critic = tree["policy"]["actor"], tree["policy"]["critic"]
    return {
        "num_steps_per_env": tree["runner"]["num_steps_per_env"],
        "save_interval": tree["iterations"],
        "obs_groups": {"actor": _groups(actor["network"]), "critic": _groups(critic["network"])},
        "algorithm": _algorithm(tree["algorithm"]),
        "actor": {**_network(actor["network"]), "distribution_cfg": _distribution(actor["distribution"])},
        "critic": _network(critic["network"]),
    }


def _algorithm(options: dict[str, Any]) -> dict[str, Any]:
    options = {key: value for key, value in options.items() if key not in SWITCHES}
    _require("algorithm", options.pop("name"), "ppo")
    mixed = options.pop("precision") == "bf16"
    normalize = options.pop("normalize_advantage")
    if normalize == "none":
        raise ValueError("normalize_advantage: rsl_rl always normalizes")
    same = {
        "num_learning_epochs",
        "num_mini_batches",
        "clip_param",
        "gamma",
        "lam",
        "value_loss_coef",
        "entropy_coef",
        "learning_rate",
        "optimizer",
        "schedule",
        "desired_kl",
        "max_grad_norm",
        "use_clipped_value_loss",
    }
    _require("options of ppo", set(options), same)
    return {
        "class_name": "PPO",
        "normalize_advantage_per_mini_batch": normalize == "minibatch",
        "use_mixed_precision": mixed,
        **options,
    }


def _distribution(options: dict[str, Any]) -> dict[str, Any]:
    options = dict(options)
    _require("distribution", options.pop("name"), "gaussian")
    _require("options of gaussian", set(options), {"init_std", "std_type", "std_range", "learn_std"})
    return {"class_name": "GaussianDistribution", **options}


def _groups(network: dict[str, Any]) -> list[str]:
    return list(network["groups"])


def _network(options: dict[str, Any]) -> dict[str, Any]:
    options = dict(options)
    name = options.pop("name")
    options.pop("groups")
    _require("init", options.pop("init"), "default")
    _require("output_scale", options.pop("output_scale"), 1.0)
    common = {
        "hidden_dims": options.pop("hidden_dims"),
        "activation": _activation(options.pop("activation")),
        "obs_normalization": options.pop("normalize"),
    }
    if name == "mlp":
        specific = {"class_name": "MLPModel"}
    elif name in ("lstm", "gru"):
        specific = {
            "class_name": "RNNModel",
            "rnn_type": name,
            "rnn_hidden_dim": options.pop("rnn_hidden_dim"),
            "rnn_num_layers": options.pop("rnn_num_layers"),
        }
    elif name == "cnn":
        _require("encoders", options.pop("encoders"), {})
        specific = {"class_name": "CNNModel", "cnn_cfg": _encoder(options.pop("encoder"))}
    else:
        raise ValueError(f"network {name!r}: rsl_rl has none like it")
    _require(f"further options of {name}", options, {})
    return {**specific, **common}


def _encoder(options: dict[str, Any]) -> dict[str, Any]:
    options = dict(options)
    _require("padding", options.pop("padding"), "none")
    encoder = {
        "output_channels": options.pop("channels"),
        "kernel_size": _one_or_all(options.pop("kernel_sizes")),
        "stride": _one_or_all(options.pop("strides")),
        "dilation": _one_or_all(options.pop("dilations")),
        "padding": "none",
        "norm": _one_or_all(options.pop("norm")),
        "activation": _activation(options.pop("activation")),
        "max_pool": _one_or_all(options.pop("max_pool")),
        "global_pool": options.pop("global_pool"),
    }
    _require("further options of an encoder", options, {})
    return encoder


def _one_or_all(items: list[Any]) -> Any:
    """A list of one item holds for all layers, which rsl_rl writes as the item."""
    return items[0] if len(items) == 1 else items


def _activation(name: str) -> str:
    return ACTIVATIONS.get(name, name)


def _require(what: str, value: Any, expected: Any) -> None:
    if value != expected:
        raise ValueError(f"{what}: {value!r}, and rsl_rl has {expected!r} only")
