"""Configs of rsl_rl 1 to 4 in the shape of rsl_rl 5.

Shapes that are told apart:

- 1.x (legged_gym): what the runner reads is in `runner`, which names the classes of `policy` and `algorithm`;
- 2.x: the runner's keys are at the top, `policy` and `algorithm` name their classes;
- 3.x: as 2.x, with `obs_groups`, in which `policy` is the set of the actor or student;
- 4.x: `actor` and `critic`, or `student` and `teacher`, whose noise is described by `stochastic` and three more keys;
- 5.x: the same with `distribution_cfg`.

A config that mixes them, as Isaac Lab's may, is brought to 5.x key by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.errors import ConfigError, listed
from rslcore_rsl_rl.names import read_class
from rslcore_rsl_rl.sections import Findings, Section, is_set, plain
from rslcore_rsl_rl.translate_runner import KNOWN

MODELS = ("actor", "critic", "student", "teacher")

_RNN_KEYS = ("rnn_type", "rnn_hidden_dim", "rnn_hidden_size", "rnn_num_layers")
_NOISE_KEYS = ("init_noise_std", "noise_std_type", "state_dependent_std")
_OWN_KEYS = ("hidden_dims", "obs_normalization", "cnn_cfg")
"""Keys that an old policy has for each model, after the name of the model and `_`."""

_OLD_PPO = {
    "num_learning_epochs": 1,
    "num_mini_batches": 1,
    "gamma": 0.998,
    "entropy_coef": 0.0,
    "schedule": "fixed",
}
"""Defaults of PPO before rsl_rl 3.0, where they are others today."""


@attrs.frozen
class _Policy:
    """A class that held all networks, before rsl_rl 4.

    Attributes:
        models: The model that acts, and the other one.
        model_class: Class of the models today.
        algorithm: Class of its algorithm.
        keys: What can be set.
        init_std: Its default of `init_noise_std`, where it differs from today's.
    """

    models: tuple[str, str]
    model_class: str
    algorithm: str
    keys: tuple[str, ...]
    init_std: float | None = None


def _keys(models: tuple[str, str], *further: str) -> tuple[str, ...]:
    own = [f"{model}_{key}" for model in models for key in ("hidden_dims", "obs_normalization")]
    return ("class_name", "activation", "init_noise_std", "noise_std_type", *own, *further)


_ACTOR_CRITIC, _STUDENT_TEACHER = ("actor", "critic"), ("student", "teacher")
_STD = "state_dependent_std"
POLICIES = {
    "ActorCritic": _Policy(_ACTOR_CRITIC, "MLPModel", "PPO", _keys(_ACTOR_CRITIC, _STD)),
    "ActorCriticRecurrent": _Policy(_ACTOR_CRITIC, "RNNModel", "PPO", _keys(_ACTOR_CRITIC, _STD, *_RNN_KEYS)),
    "ActorCriticCNN": _Policy(
        _ACTOR_CRITIC, "CNNModel", "PPO", _keys(_ACTOR_CRITIC, _STD, "actor_cnn_cfg", "critic_cnn_cfg")
    ),
    "StudentTeacher": _Policy(_STUDENT_TEACHER, "MLPModel", "Distillation", _keys(_STUDENT_TEACHER), 0.1),
    "StudentTeacherRecurrent": _Policy(
        _STUDENT_TEACHER, "RNNModel", "Distillation", _keys(_STUDENT_TEACHER, *_RNN_KEYS, "teacher_recurrent"), 0.1
    ),
}
"""The policies of rsl_rl 1 to 3."""


def upgrade(train_cfg: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A config of any version of rsl_rl in the shape of 5.x, and a note for each thing that was translated.

    What is in that shape already is returned as it is, with lists for tuples. The argument is not changed.

    Raises:
        ConfigError: With every key or class of an older version that is none; paths are those of the argument.
    """
    findings = Findings()
    config = upgrade_into(train_cfg, findings)
    findings.raise_problems()
    return config, tuple(findings.notes)


def upgrade_into(train_cfg: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """The same with problems, notes and origins gathered in `findings`; raises ConfigError if it is no dict at all."""
    if not isinstance(train_cfg, Mapping):
        raise ConfigError.at("", f"{train_cfg!r} ({type(train_cfg).__name__}) should be a dict of rsl_rl's")
    try:
        config: dict[str, Any] = plain(train_cfg)
    except RecursionError:
        raise ConfigError.at("", "the dict is nested too deeply, or holds itself") from None
    is_first = _flatten_runner(config, findings)
    old = _find_policy(config, findings)
    if old is not None:
        is_before_3 = "obs_groups" not in config
        _upgrade_algorithm(config, old, is_before_3, findings)
        _upgrade_policy(config, old, is_first, findings)
        _upgrade_groups(config, old, findings)
        return config
    if config.get("empirical_normalization") is True:
        findings.note(
            "'empirical_normalization' is not read by rsl_rl since 4.0, and is not here; each model has its own "
            "'obs_normalization'"
        )
    for name in MODELS:
        if isinstance(config.get(name), dict):
            _upgrade_noise(config[name], name, findings)
    groups = config.get("obs_groups")
    acting = "student" if is_set(config.get("student")) else "actor"
    if isinstance(groups, dict) and "policy" in groups and acting not in groups:
        groups[acting] = groups.pop("policy")
        findings.move("obs_groups.policy", f"obs_groups.{acting}")
    return config


def _flatten_runner(config: dict[str, Any], findings: Findings) -> bool:
    """Move what is in `runner` to where it is read today; whether the config was one of rsl_rl 1."""
    runner = config.get("runner")
    if not isinstance(runner, dict) or not runner:
        return False
    del config["runner"]
    is_first = False
    for name in ("policy", "algorithm"):
        class_name = runner.pop(f"{name}_class_name", None)
        section = config.get(name, {})
        if is_set(class_name) and isinstance(section, dict) and "class_name" not in section:
            config[name] = {**section, "class_name": class_name}
            findings.relocate(f"runner.{name}_class_name", f"{name}.class_name")
            if name == "algorithm":  # that of the policy is told of with its models
                findings.note("'runner.algorithm_class_name' is now 'algorithm.class_name'")
            is_first = True
    moved = [key for key in runner if not is_set(config.get(key))]
    for key in moved:
        config[key] = runner[key]
        findings.relocate(f"runner.{key}", key)
    read = [key for key in moved if key in KNOWN]
    if read:
        findings.note(f"what was in 'runner' ({listed(read)}) is now at the top")
    return is_first


def _find_policy(config: dict[str, Any], findings: Findings) -> _Policy | None:
    """The class of an old policy; None if there is no policy, or the models of today beside it."""
    if not is_set(config.get("policy")):
        config.pop("policy", None)
        return None
    section = Section(config["policy"], "policy", findings)
    if any(is_set(config.get(name)) for name in MODELS):
        models = [name for name in MODELS if is_set(config.get(name))]
        findings.note(f"'policy' is not read, since {listed(models)} {'is' if len(models) == 1 else 'are'} there")
        del config["policy"]
        return None
    algorithm = config.get("algorithm")
    distills = isinstance(algorithm, dict) and str(algorithm.get("class_name")).endswith("Distillation")
    default = "StudentTeacher" if distills else "ActorCritic"
    name = read_class(section, POLICIES, default)
    if name:
        known = POLICIES[name].keys
        everywhere = {key for policy in POLICIES.values() for key in policy.keys}
        ignored = [key for key in section if key not in known and key in everywhere]
        for key in ignored:
            findings.note(f"'{findings.users_path(section.at(key))}' means nothing to '{name}' and is left out")
            del config["policy"][key]
        Section(config["policy"], "policy", findings).refuse_unknown(known, name)
    return POLICIES[name or default]


def _upgrade_algorithm(config: dict[str, Any], old: _Policy, is_before_3: bool, findings: Findings) -> None:
    algorithm = config.setdefault("algorithm", {})
    if not isinstance(algorithm, dict):
        return
    algorithm.setdefault("class_name", old.algorithm)
    missing = {key: value for key, value in _OLD_PPO.items() if not is_set(algorithm.get(key))}
    if is_before_3 and old.algorithm == "PPO" and missing:
        algorithm.update(missing)
        said = ", ".join(f"'{key}' ({value})" for key, value in missing.items())
        findings.note(f"'algorithm' does not say {said}, which is set as rsl_rl had it before 3.0")


def _upgrade_policy(config: dict[str, Any], old: _Policy, is_first: bool, findings: Findings) -> None:
    """Take `policy` apart into two models."""
    policy = Section(config.pop("policy"), "policy", findings)
    models: dict[str, dict[str, Any]] = {name: {"class_name": old.model_class} for name in old.models}
    acting, other = old.models
    if old.model_class == "RNNModel" and other == "teacher" and policy.get("teacher_recurrent") is not True:
        models["teacher"]["class_name"] = "MLPModel"
    for name, model in models.items():
        findings.relocate("policy.class_name", f"{name}.class_name")
        if old.model_class == "CNNModel" and f"{name}_cnn_cfg" not in policy:
            model["class_name"] = "MLPModel"  # that one has no images
        for key in _OWN_KEYS:
            _move(policy, f"{name}_{key}", {f"{name}.{key}": model})
    if "class_name" in policy:
        classes = [f"'{name}.class_name' ({model['class_name']})" for name, model in models.items()]
        origin = findings.users_path("policy.class_name")
        findings.note(f"'{origin}' ({policy['class_name']}) is now {' and '.join(classes)}")
    if is_first and policy.get("activation") == "crelu":
        findings.note("'crelu' of 'policy.activation' is 'relu', which it meant in rsl_rl 1")
        policy = Section({**{key: policy[key] for key in policy}, "activation": "relu"}, "policy", findings)
    _move(policy, "activation", {f"{name}.activation": model for name, model in models.items()})
    recurrent = {name: model for name, model in models.items() if model["class_name"] == "RNNModel"}
    width = "rnn_hidden_size" if policy.get("rnn_hidden_dim", 256) == 256 else "rnn_hidden_dim"
    for key in ("rnn_type", "rnn_hidden_dim" if width not in policy else width, "rnn_num_layers"):
        now = "rnn_hidden_dim" if key == "rnn_hidden_size" else key
        _move(policy, key, {f"{name}.{now}": model for name, model in recurrent.items()})
    _move_noise(policy, models[acting], acting, findings)
    if old.init_std is not None and "init_noise_std" not in policy:
        models[acting]["distribution_cfg"]["init_std"] = old.init_std
    normalization = config.pop("empirical_normalization", None)
    if is_set(normalization):
        unset = [name for name in models if "obs_normalization" not in models[name]]
        for name in unset:
            models[name]["obs_normalization"] = normalization
        if unset:
            findings.move("empirical_normalization", *(f"{name}.obs_normalization" for name in unset))
    config.update(models)


def _move(section: Section, key: str, to: Mapping[str, dict[str, Any]]) -> None:
    """Set the last key of each path in the dict beside it to what stands at a key of the old section."""
    if key not in section:
        return
    for path, model in to.items():
        model[path.rpartition(".")[2]] = plain(section[key])
    section.findings.move(section.at(key), *to)


def _move_noise(section: Section, model: dict[str, Any], name: str, findings: Findings) -> None:
    """Describe the noise of a model by a distribution."""
    depends = section.get("state_dependent_std") is True
    distribution: dict[str, Any] = {
        "class_name": "HeteroscedasticGaussianDistribution" if depends else "GaussianDistribution"
    }
    model["distribution_cfg"] = distribution
    at = f"{name}.distribution_cfg"
    if "state_dependent_std" in section:
        findings.move(section.at("state_dependent_std"), f"{at}.class_name")
    for old, new in (("init_noise_std", "init_std"), ("noise_std_type", "std_type")):
        _move(section, old, {f"{at}.{new}": distribution})


def _upgrade_groups(config: dict[str, Any], old: _Policy, findings: Findings) -> None:
    """Name the observation set of the model that acts after it; others had its groups where they had none."""
    acting = old.models[0]
    findings.fallback_set = acting
    groups = config.get("obs_groups")
    if not is_set(groups):
        config["obs_groups"] = {acting: ["policy"]}
    elif isinstance(groups, dict) and acting not in groups:
        if "policy" in groups:
            findings.move("obs_groups.policy", f"obs_groups.{acting}")
        config["obs_groups"] = {acting: groups.get("policy", ["policy"])}
        config["obs_groups"].update({name: value for name, value in groups.items() if name != "policy"})


def _upgrade_noise(model: dict[str, Any], name: str, findings: Findings) -> None:
    """The noise of a model of rsl_rl 4 as a distribution.

    Isaac Lab's configs have those keys for 5.x too; they say nothing where there is a distribution.
    """
    section = Section(model, name, findings)
    if section.get("stochastic") is True and "distribution_cfg" not in section:
        findings.move(f"{name}.stochastic", f"{name}.distribution_cfg")
        _move_noise(section, model, name, findings)
    for key in ("stochastic", *_NOISE_KEYS):
        model.pop(key, None)
