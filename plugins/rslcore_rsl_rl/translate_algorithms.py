"""Algorithms of rsl_rl, with their extensions, as rslcore's algorithms.

Only what differs from our defaults is written beside what the user says; `tests/parity` compares all defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rslcore.errors import listed, nearest
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.names import read_activation, read_function
from rslcore_rsl_rl.sections import Options, Section
from rslcore_rsl_rl.translate_models import count_inputs, read_widths

_SAME_IN_PPO = (
    "num_learning_epochs",
    "num_mini_batches",
    "clip_param",
    "gamma",
    "lam",
    "value_loss_coef",
    "entropy_coef",
    "learning_rate",
    "max_grad_norm",
    "use_clipped_value_loss",
    "schedule",
    "desired_kl",
)
_SAME_IN_DISTILLATION = ("num_learning_epochs", "gradient_length", "learning_rate", "loss_type")
_COMMON = ("class_name", "optimizer", "use_mixed_precision", "grad_reduce_bucket_mb", "rnd_cfg", "symmetry_cfg")
PPO_KEYS = (*_SAME_IN_PPO, *_COMMON, "normalize_advantage_per_mini_batch", "share_cnn_encoders")
DISTILLATION_KEYS = (*_SAME_IN_DISTILLATION, *_COMMON, "max_grad_norm")
ALGORITHMS = {"PPO": PPO_KEYS, "Distillation": DISTILLATION_KEYS}
"""The algorithms and what can be set."""

_SAME_IN_RND = ("num_outputs", "state_normalization", "reward_normalization", "learning_rate")
_RND_WIDTHS = ("predictor_hidden_dims", "target_hidden_dims")
_RND_KEYS = (*_SAME_IN_RND, *_RND_WIDTHS, "activation", "weight", "weight_schedule")
_SET_BY_RSL_RL = ("num_states", "obs_groups", "device", "env", "_env")
"""What older versions of rsl_rl write into the dicts of extensions; it stands in dicts that were used before."""
_SCHEDULES = {
    "constant": (),
    "step": ("final_step", "final_value"),
    "linear": ("initial_step", "final_step", "final_value"),
}
_SYMMETRY_KEYS = ("data_augmentation_func", "use_data_augmentation", "use_mirror_loss", "mirror_loss_coeff")
_COMPILED = ("default", "max-autotune-no-cudagraphs")
_GRAPHS = ("reduce-overhead", "max-autotune")


def translate_ppo(
    section: Section, compile_mode: Section, is_recurrent: bool, extensions: Sequence[Any]
) -> dict[str, Any]:
    """PPO.

    Args:
        section: `algorithm`.
        compile_mode: What has `torch_compile_mode`.
        is_recurrent: Whether the actor or the critic is.
        extensions: Those of the algorithm.
    """
    section.refuse_unknown(PPO_KEYS, "PPO", ALGORITHMS)
    # `bootstrap` stays as it is here: an env that has no final observations says so, and then the values are those
    # that rsl_rl takes.
    options = Options("algorithm", section, name="ppo")
    options.take(*_SAME_IN_PPO)
    if section.has_none("desired_kl"):
        options.put("schedule", "fixed", "desired_kl")  # without it rsl_rl leaves the learning rate alone
    if section.flag("normalize_advantage_per_mini_batch"):
        options.put("normalize_advantage", "minibatch", "normalize_advantage_per_mini_batch")
    if is_recurrent:
        options.values["shuffle"] = "none"  # rsl_rl's minibatches are always the same envs then
    _take_common(options, section)
    execution = _execution(compile_mode)
    if execution:
        options.put("execution", execution, "torch_compile_mode")
        section.findings.came_from("algorithm.execution", "torch_compile_mode")
    if extensions:
        options.values["extensions"] = list(extensions)
    return options.values


def translate_distillation(section: Section, compile_mode: Section, num_steps: Any) -> dict[str, Any]:
    """Distillation; `num_steps` are those of a rollout."""
    findings = section.findings
    unused = [key for key in section if key in PPO_KEYS and key not in DISTILLATION_KEYS]
    if unused:  # rsl_rl takes any key
        findings.note(f"'algorithm' has {listed(unused)}, which mean nothing to 'Distillation'")
    section.refuse_unknown(DISTILLATION_KEYS, "Distillation", ignored=unused)
    for key in ("rnd_cfg", "symmetry_cfg"):
        if key in section:
            section.problem(key, "is for PPO; 'Distillation' of rsl_rl refuses it")
    options = Options("algorithm", section, name="distillation")
    options.take(*_SAME_IN_DISTILLATION)
    if section.get("max_grad_norm", 0) != 0:  # 0 is no limit in rsl_rl
        options.take("max_grad_norm")
    _take_common(options, section)
    if _execution(compile_mode):
        findings.note("'torch_compile_mode' is left out; distillation is not compiled here")
    length, epochs = section.get("gradient_length", 15), section.get("num_learning_epochs", 1)
    if all(isinstance(number, int) and number > 0 for number in (length, epochs, num_steps)) and num_steps % length:
        findings.note(
            f"'algorithm.gradient_length' ({length}) does not divide 'num_steps_per_env' ({num_steps}): here the last "
            "window of an epoch is shorter, in rsl_rl windows run on and what is left over is not learned from"
        )
    return options.values


def _take_common(options: Options, section: Section) -> None:
    if "optimizer" in section:
        value = section["optimizer"]
        options.put("optimizer", value.lower() if isinstance(value, str) else value, "optimizer")
    if section.flag("use_mixed_precision"):
        options.put("precision", "bf16", "use_mixed_precision")
    if "grad_reduce_bucket_mb" in section:
        at = section.findings.users_path(section.at("grad_reduce_bucket_mb"))
        section.findings.note(f"'{at}' means nothing here; gradients are reduced by torch while they are computed")


def _execution(top: Section) -> str:
    """How functions are run, for `torch_compile_mode`; "" where that says nothing.

    Nothing leaves it to us whether to compile, which changes numbers by their rounding alone.
    """
    key, modes = "torch_compile_mode", (*_COMPILED, *_GRAPHS)
    if key not in top:
        return ""
    mode = top[key]
    if mode in _GRAPHS:
        top.problem(
            key,
            f"'{mode}' is refused by rsl_rl; write one of {listed(_COMPILED)}, or `execution: cuda_graph` in rslcore",
        )
    elif mode not in _COMPILED:
        top.problem(key, f"{mode!r} is none of {listed(_COMPILED)}{nearest(str(mode), modes)}")
    elif mode != "default":
        top.findings.note(f"'{key}' ({mode}) is 'algorithm.execution: compile' here, which compiles by torch's default")
    return "compile"


def translate_rnd(
    section: Section,
    at: str,
    groups: Sequence[str],
    observations: Mapping[str, TensorSpec | None] | None,
    step_dt: float | None,
) -> dict[str, Any]:
    """Random network distillation.

    Args:
        section: `rnd_cfg`.
        at: Where the extension lies in rslcore's config.
        groups: The observation groups in which novelty is sought.
        observations: The groups of the env, where they are known.
        step_dt: Seconds of an env step, by which rsl_rl multiplies the weight.
    """
    section.refuse_unknown(_RND_KEYS, "RandomNetworkDistillation", ignored=_SET_BY_RSL_RL)
    section.require("num_outputs", *_RND_WIDTHS, of="RandomNetworkDistillation")
    options = Options(at, section, name="rnd", groups=list(groups), reward_observation="next")
    section.findings.came_from(f"{at}.groups", "obs_groups.rnd_state")
    options.take(*_SAME_IN_RND)
    for key in _RND_WIDTHS:
        if key in section:
            options.put(key, read_widths(section, key, count_inputs(groups, observations)), key)
    activation = read_activation(section)
    if activation is not None:
        options.put("activation", activation, "activation")
    weight = section.get("weight", 0.0)
    path = section.findings.users_path(section.at("weight"))
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if step_dt is not None and is_number:
        weight = weight * step_dt
    elif is_number and weight != 0:
        section.findings.check(
            f"{at}.weight: '{path}' ({weight}) is per second in rsl_rl, which multiplies it by the env's `step_dt`; "
            "here it is for each env step: multiply it by the seconds of a step; where those are 0.02 write "
            f"`{at}.weight={weight * 0.02:g}`"
        )
    options.put("weight", weight, "weight")
    if "weight_schedule" in section:
        schedule = _translate_schedule(section.section("weight_schedule"), f"{at}.weight_schedule")
        options.put("weight_schedule", schedule, "weight_schedule")
    return options.values


def _translate_schedule(section: Section, at: str) -> dict[str, Any]:
    """How the weight changes; of the keys that another mode needs rsl_rl takes no notice."""
    known = ("mode", *_SCHEDULES["linear"])
    section.refuse_unknown(known, "weight_schedule")
    options = Options(at, section)
    section.require("mode", of="weight_schedule")
    options.take("mode")
    options.take(*_SCHEDULES.get(str(section.get("mode")), ()))
    return options.values


def translate_symmetry(section: Section, at: str) -> dict[str, Any]:
    """Symmetry; `at` is where the extension lies in rslcore's config."""
    section.refuse_unknown(_SYMMETRY_KEYS, "Symmetry", ignored=_SET_BY_RSL_RL)
    # The defaults of rsl_rl; ours are to augment, and a coefficient of 1.
    options = Options(at, section, name="symmetry", use_data_augmentation=False, mirror_loss_coeff=0.0)
    section.require("data_augmentation_func", of="Symmetry")
    key = "data_augmentation_func"
    options.put("function", read_function(section, key) if key in section else None, key)
    options.take("use_data_augmentation", "use_mirror_loss", "mirror_loss_coeff")
    return options.values
