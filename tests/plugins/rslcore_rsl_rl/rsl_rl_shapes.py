"""Checkpoints in the shapes in which rsl_rl of each version writes them, of the same small networks.

The actor reads 2 numbers, the critic 3, there is 1 action; hidden layers have 4 and 5. Optimizers have made 6 steps.
"""

from __future__ import annotations

import torch

PLAIN = {
    "actor": {"hidden_dims": [4, 5]},
    "critic": {"hidden_dims": [4, 5], "groups": ["policy", "privileged"]},
}
WIDTHS = {"actor": (2, 1), "critic": (3, 1), "student": (2, 1), "teacher": (3, 1)}
OF_MEMORY = {"actor": "memory_a", "critic": "memory_c", "student": "memory_s", "teacher": "memory_t"}
NUM_HIDDEN = 3
"""Width of the memory of recurrent models."""


def model(name, *, rnn=None, std=None, normalize=True):
    """The `state_dict` of a model of rsl_rl 5.

    Args:
        name: `actor`, `critic`, `student` or `teacher`, by which its tensors differ.
        rnn: `lstm` or `gru`.
        std: Name of its standard deviation, as it is called in rsl_rl 5.
        normalize: Whether it has a normalizer.
    """
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    inputs, outputs = WIDTHS[name]

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    state = {}
    if normalize:
        variance = draw(1, inputs).square() + 0.5
        mean = draw(1, inputs)
        state |= {f"obs_normalizer.{key}": value for key, value in (("_mean", mean), ("_var", variance))}
        state |= {"obs_normalizer._std": variance.sqrt(), "obs_normalizer.count": torch.tensor(960)}
    if std is not None:
        state[f"distribution.{std}"] = draw(outputs).abs() + 0.1
    widths = (NUM_HIDDEN if rnn else inputs, 4, 5, outputs)
    for layer in range(3):
        state[f"mlp.{2 * layer}.weight"] = draw(widths[layer + 1], widths[layer])
        state[f"mlp.{2 * layer}.bias"] = draw(widths[layer + 1])
    if rnn is not None:
        gates = {"lstm": 4, "gru": 3}[rnn]
        for key, width in (
            ("weight_ih_l0", inputs),
            ("weight_hh_l0", NUM_HIDDEN),
            ("bias_ih_l0", 0),
            ("bias_hh_l0", 0),
        ):
            state[f"rnn.rnn.{key}"] = draw(gates * NUM_HIDDEN, *([width] if width else []))
    return state


def is_parameter(name):
    return "normalizer" not in name


def moments(parameters, learning_rate=3e-4):
    """The `state_dict` of Adam, with moments that follow from the parameters, so that they can be told apart."""
    return {
        "state": {
            index: {"step": torch.tensor(6.0), "exp_avg": 0.1 * value, "exp_avg_sq": 0.01 * value.square()}
            for index, value in enumerate(parameters)
        },
        "param_groups": [{"lr": learning_rate, "betas": (0.9, 0.999), "params": [*range(len(parameters))]}],
    }


def five(**options):
    """PPO's checkpoint of rsl_rl 5."""
    options = {"std": "std_param"} | options
    critic = {key: value for key, value in options.items() if key != "std"}
    states = {"actor": model("actor", **options), "critic": model("critic", **critic)}
    return split(states)


def split(states):
    """A checkpoint with a dict a model, as of rsl_rl 4 and 5."""
    learning = [state for name, state in states.items() if name != "teacher"]
    parameters = [value for state in learning for name, value in state.items() if is_parameter(name)]
    dicts = {f"{name}_state_dict": state for name, state in states.items()}
    return {**dicts, "optimizer_state_dict": moments(parameters), "iter": 149, "infos": None}


def four(**options):
    """The same of rsl_rl 4: the standard deviation is the actor's own, and comes first."""
    states = {name: five(**options)[f"{name}_state_dict"] for name in ("actor", "critic")}
    stds = {name.removeprefix("distribution.").removesuffix("_param"): value for name, value in stds_of(states).items()}
    states["actor"] = stds | {key: value for key, value in states["actor"].items() if "distribution" not in key}
    return split(states)


def stds_of(states):
    return {key: value for state in states.values() for key, value in state.items() if "distribution" in key}


def one_dict(states, *, normalizers):
    """A checkpoint of rsl_rl 1 to 3, whose models are one module.

    Args:
        states: By model, as rsl_rl 5 has them.
        normalizers: Whether those are in the module, as in 3.x.
    """
    flat = {}
    for name, value in stds_of(states).items():
        flat[name.removeprefix("distribution.").removesuffix("_param")] = value
    for name, state in states.items():
        flat |= {f"{name}.{key.removeprefix('mlp.')}": value for key, value in state.items() if key.startswith("mlp")}
    for name, state in states.items():
        for key, value in state.items():
            if key.startswith("rnn."):
                flat[f"{OF_MEMORY[name]}.{key.removeprefix('rnn.')}"] = value
            if normalizers and key.startswith("obs_normalizer"):
                flat[f"{name}_{key}"] = value
    parameters = [value for name, value in flat.items() if is_parameter(name)]
    return {"model_state_dict": flat, "optimizer_state_dict": moments(parameters), "iter": 149, "infos": None}


def normalizer_of(state):
    return {key.removeprefix("obs_normalizer."): value for key, value in state.items() if "normalizer" in key}


def three(**options):
    """PPO's checkpoint of rsl_rl 3."""
    return one_dict({name: five(**options)[f"{name}_state_dict"] for name in ("actor", "critic")}, normalizers=True)


def two(beside="privileged_obs_norm_state_dict", **options):
    """The same of rsl_rl 2, whose normalizers are beside the module; the second one was renamed in 2.3."""
    states = {name: five(**options)[f"{name}_state_dict"] for name in ("actor", "critic")}
    payload = one_dict(states, normalizers=False)
    return payload | {
        "obs_norm_state_dict": normalizer_of(states["actor"]),
        beside: normalizer_of(states["critic"]),
    }


def student(version=5, teacher_std=None, **options):
    """Distillation's checkpoint, of version 3 or 5."""
    states = {"student": model("student", std="std_param", **options), "teacher": model("teacher", std=teacher_std)}
    return split(states) if version == 5 else one_dict(states, normalizers=True)


def make_no_env():
    """What a config names for its env, on a machine that has no simulator."""
    raise RuntimeError("no simulator here")
