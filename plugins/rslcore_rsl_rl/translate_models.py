"""Models and distributions of rsl_rl as rslcore's networks and distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rslcore.errors import nearest
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.names import read_activation, read_class
from rslcore_rsl_rl.sections import Options, Section, plain

_COMMON = ("class_name", "hidden_dims", "activation", "obs_normalization", "distribution_cfg")
_RNN_KEYS = ("rnn_type", "rnn_hidden_dim", "rnn_num_layers")
MODELS = {
    "MLPModel": _COMMON,
    "RNNModel": (*_COMMON, *_RNN_KEYS),
    "CNNModel": (*_COMMON, "cnn_cfg"),
}
"""The models and what can be set."""

DISTRIBUTIONS = {
    "GaussianDistribution": "gaussian",
    "HeteroscedasticGaussianDistribution": "heteroscedastic_gaussian",
    "BetaDistribution": "beta",
}
"""The distributions, and ours."""

_GAUSSIAN_KEYS = ("class_name", "init_std", "std_range", "std_type")
_DISTRIBUTION_KEYS = {
    "GaussianDistribution": (*_GAUSSIAN_KEYS, "learn_std"),
    "HeteroscedasticGaussianDistribution": _GAUSSIAN_KEYS,
    "BetaDistribution": ("class_name", "action_range"),
}
_LAYERS = {"kernel_size": "kernel_sizes", "stride": "strides", "dilation": "dilations"}
"""Options of a convolution that may be given layer by layer, and ours where they are called otherwise."""
_ENCODER_KEYS = ("output_channels", *_LAYERS, "padding", "norm", "activation", "max_pool", "global_pool", "flatten")
RNN_TYPES = ("lstm", "gru")
"""What rsl_rl's recurrent models are made of, and what the networks are called here."""


def read_model(section: Section) -> str:
    """The class of a model, whose keys are looked at; "" where it is none of rsl_rl's."""
    name = read_class(section, MODELS)
    # mjlab gives every model the sizes of a recurrent one, and says by `rnn_type` whether they mean anything.
    unused = _RNN_KEYS if "rnn_type" not in section else ()
    if name:
        section.refuse_unknown(MODELS[name], name, MODELS, ignored=unused)
    return name


def translate_network(
    section: Section,
    class_name: str,
    groups: Sequence[str],
    at: str,
    observations: Mapping[str, TensorSpec | None] | None,
    encoders: Section | None = None,
) -> dict[str, Any]:
    """A model as the config of a network.

    Args:
        section: The model.
        class_name: Its class, as `read_model` gives it.
        groups: The observation groups that it reads.
        at: Where the network lies in rslcore's config.
        observations: The groups of the env, where they are known.
        encoders: The model whose `cnn_cfg` is taken instead of its own.
    """
    if not class_name:
        return {"name": "mlp", "groups": list(groups)}  # stands in, since an error is raised anyway
    name = _rnn_type(section) if class_name == "RNNModel" else {"MLPModel": "mlp", "CNNModel": "cnn"}[class_name]
    options = Options(at, section, name=name, groups=list(groups))
    section.findings.came_from(f"{at}.groups", f"obs_groups.{section.path}")
    options.take("hidden_dims", obs_normalization="normalize")
    if "hidden_dims" in section:
        size = _num_inputs(section, class_name, groups, observations)
        options.values["hidden_dims"] = read_widths(section, "hidden_dims", size)
    _take_activation(options, section)
    if class_name == "RNNModel":
        options.take("rnn_hidden_dim", "rnn_num_layers")
    if class_name == "CNNModel":
        _take_encoders(options, section if encoders is None else encoders)
    return options.values


def _take_activation(options: Options, section: Section) -> None:
    activation = read_activation(section)
    if activation is not None:
        options.put("activation", activation, "activation")


def _rnn_type(section: Section) -> str:
    value = section.get("rnn_type", "lstm")
    if isinstance(value, str) and value.lower() in RNN_TYPES:
        return value.lower()
    section.problem("rnn_type", f"{value!r} is none of 'gru', 'lstm'{nearest(str(value), RNN_TYPES)}")
    return "lstm"


def _num_inputs(
    section: Section, class_name: str, groups: Sequence[str], observations: Mapping[str, TensorSpec | None] | None
) -> int | None:
    """Width of what the fully connected layers read; None where it is not known."""
    if class_name == "RNNModel":
        width = section.get("rnn_hidden_dim", 256)
        return width if isinstance(width, int) else None
    return count_inputs(groups, observations) if class_name == "MLPModel" else None


def count_inputs(groups: Sequence[str], observations: Mapping[str, TensorSpec | None] | None) -> int | None:
    """Numbers in observation groups; None where they are not known."""
    specs = [None if observations is None else observations.get(group) for group in groups]
    return None if None in specs else sum(spec.size for spec in specs if spec is not None)


def read_widths(section: Section, key: str, num_inputs: int | None) -> Any:
    """Widths of layers, where -1 stands for the number of inputs; a problem if that is not known."""
    widths = plain(section[key])
    if not isinstance(widths, list) or -1 not in widths:
        return widths
    if num_inputs is None:
        section.problem(
            key, "-1 stands for the number of the network's inputs, which is not known here; write the number itself"
        )
        return []
    return [num_inputs if width == -1 else width for width in widths]


def _take_encoders(options: Options, section: Section) -> None:
    """One encoder for all images, or one for each group where everything in `cnn_cfg` is a dict."""
    config = section.section("cnn_cfg")
    if "cnn_cfg" not in section:
        section.problem("cnn_cfg", "is missing; 'CNNModel' of rsl_rl has no default for it")
    elif all(isinstance(config[group], Mapping) for group in config):
        encoders = {
            group: _translate_encoder(config.section(group), f"{options.path}.encoders.{group}") for group in config
        }
        options.values["encoders"] = encoders
        section.findings.came_from(f"{options.path}.encoders", config.path)
    else:
        options.values["encoder"] = _translate_encoder(config, f"{options.path}.encoder")


def _translate_encoder(section: Section, at: str) -> dict[str, Any]:
    section.refuse_unknown(_ENCODER_KEYS, "CNN")
    section.require("output_channels", "kernel_size", of="CNN")
    if section.get("flatten", True) is not True:
        section.problem("flatten", f"{section['flatten']!r} should be true; the layers upon it read flat features")
    options = Options(at, section)
    options.take("padding", "global_pool", output_channels="channels")
    channels = options.values.get("channels")
    for key, name in {**_LAYERS, "norm": "norm", "max_pool": "max_pool"}.items():
        if key not in section:
            continue
        value = plain(section[key])
        if isinstance(value, list):  # of more items than layers rsl_rl reads the first ones
            options.put(name, value[: len(channels)] if isinstance(channels, list) else value, key)
        else:
            options.put(name, [value], key)
            section.findings.came_from(f"{at}.{name}[0]", section.at(key))
    _take_activation(options, section)
    return options.values


def translate_distribution(section: Section, at: str) -> dict[str, Any]:
    """What the actions of a model are drawn from."""
    name = read_class(section, DISTRIBUTIONS)
    if not name:
        return {"name": "gaussian"}  # stands in, since an error is raised anyway
    section.refuse_unknown(_DISTRIBUTION_KEYS[name], name, _DISTRIBUTION_KEYS)
    options = Options(at, section, name=DISTRIBUTIONS[name])
    if name == "BetaDistribution":
        # Its own default; ours are the bounds that the env gives.
        options.put("range", plain(section.get("action_range", [-1.0, 1.0])), "action_range")
    else:
        options.take(*(key for key in _DISTRIBUTION_KEYS[name] if key != "class_name"))
    return options.values


def translate_acting(section: Section, class_name: str, network: dict[str, Any], at: str) -> dict[str, Any]:
    """A model that acts: its network and the distribution of its actions, which PPO needs and a student may lack.

    Args:
        section: The model.
        class_name: Its class, as `read_model` gives it.
        network: From `translate_network`.
        at: Where the model lies in rslcore's config.
    """
    distribution: dict[str, Any] = {"name": "gaussian"}
    if "distribution_cfg" in section:
        distribution = translate_distribution(section.section("distribution_cfg"), f"{at}.distribution")
    elif section.path == "student" and class_name:
        distribution |= {"init_std": 1e-6, "learn_std": False}
        section.findings.note(
            "'student' has no 'distribution_cfg' and acts without noise in rsl_rl; here it does with a standard "
            "deviation of 1e-6"
        )
    elif class_name:
        section.problem("distribution_cfg", "is missing; PPO draws the actor's actions from a distribution")
    return {"network": network, "distribution": distribution}
