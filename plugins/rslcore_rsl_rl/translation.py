"""rsl_rl's configs as rslcore's: the same experiment, with the switches that make an update equal to rsl_rl's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config import ExperimentConfig, PolicyComponent, structure
from rslcore.errors import ConfigError, Problem
from rslcore.registry import Registry, default_registry
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.names import read_class
from rslcore_rsl_rl.sections import Findings, Section, replace_prefix
from rslcore_rsl_rl.translate_algorithms import (
    ALGORITHMS,
    translate_distillation,
    translate_ppo,
    translate_rnd,
    translate_symmetry,
)
from rslcore_rsl_rl.translate_models import read_model, translate_acting, translate_distribution, translate_network
from rslcore_rsl_rl.translate_runner import note_unused, resolve_groups, translate_runner
from rslcore_rsl_rl.upgrade import upgrade_into

_LAST = ("loggers", "on_bad_numbers")
"""Keys that stand at the end of a config."""

TEACHER_RUN = "the/run/of/the/teacher"
"""Stands for a student's teacher, which rsl_rl loads later and rslcore's config names."""


@attrs.frozen
class Translation:
    """A config of rsl_rl's in rslcore's words.

    Attributes:
        config: A plain config without `env`. That of a student has `TEACHER_RUN` for its teacher.
        notes: A sentence for each thing that was translated from an older version, or that is different here.
        origins: For paths of `config` those of the user's dict.
        to_check: A sentence for each thing that the user should look at: places of `config` that are a guess, since the
            env is not known, and keys that are misspelt.
    """

    config: dict[str, Any]
    notes: tuple[str, ...]
    origins: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    to_check: tuple[str, ...] = ()

    def in_users_words(self, error: ConfigError) -> ConfigError:
        """An error about `config` with the paths of the user's dict; problems of the env keep theirs."""
        problems = [Problem(replace_prefix(each.path, self.origins), each.message) for each in error.problems]
        return ConfigError(problems, error.source)


def translate(
    train_cfg: Mapping[str, Any],
    observations: Mapping[str, TensorSpec | None] | None = None,
    *,
    step_dt: float | None = None,
    registry: Registry | None = None,
) -> Translation:
    """Translate what rsl_rl's runners take, of any version.

    Args:
        train_cfg: The dict; it is not changed, and the translation shares nothing with it.
        observations: The observation groups of the env without the dimension of envs, which rsl_rl resolves
            `obs_groups` with; None for one whose shape is not known. Without them a set that the dict does not have is
            the group of its name.
        step_dt: Seconds of an env step (`env.unwrapped.step_dt`), by which rsl_rl multiplies the weight of random
            network distillation.
        registry: Where the config classes are found; the installed plugins by default.

    Raises:
        ConfigError: With everything that is wrong, at the paths of `train_cfg`: classes and keys that rsl_rl does not
            have, values of a wrong type or out of range, observation groups that the env does not have.
    """
    findings = Findings()
    top = Section(upgrade_into(train_cfg, findings), "", findings)
    runner, algorithm, teacher = translate_runner(top), top.section("algorithm"), None
    config: dict[str, Any] = {}
    if _distills(top, algorithm):
        groups = resolve_groups(top, ("student", "teacher"), observations)
        note_unused(findings, top, ("actor", "critic"))
        config["policy"], teacher = _student_teacher(top, groups, observations)
        config["algorithm"] = translate_distillation(algorithm, top, top.get("num_steps_per_env"))
    else:
        sets = ("actor", "critic", *(("rnd_state",) if "rnd_cfg" in algorithm else ()))
        groups = resolve_groups(top, sets, observations)
        note_unused(findings, top, ("student", "teacher"))
        config["policy"], is_recurrent = _actor_critic(top, groups, observations)
        extensions = _extensions(algorithm, groups, observations, step_dt)
        config["algorithm"] = translate_ppo(algorithm, top, is_recurrent, extensions)
    config = {**{key: runner[key] for key in runner if key not in _LAST}, **config}
    config.update({"storage": {"name": "rollout"}, **{key: runner[key] for key in _LAST if key in runner}})
    _check_values(config, teacher, findings, registry if registry is not None else default_registry())
    findings.raise_problems()
    return Translation(config, tuple(findings.notes), findings.origins, _to_check(config, findings))


def structure_translated(translation: Translation, env: Mapping[str, Any], registry: Registry) -> ExperimentConfig:
    """The typed config of a translation with an env.

    Args:
        translation: From `translate`.
        env: The env as plain data, `{"name": ..., ...}`.
        registry: Where the config classes are found.

    Raises:
        ConfigError: With every problem; those of the translation have the paths of the user's dict.
    """
    try:
        return structure({**translation.config, "env": dict(env)}, ExperimentConfig, registry)
    except ConfigError as error:
        raise translation.in_users_words(error) from error


def _to_check(config: Mapping[str, Any], findings: Findings) -> tuple[str, ...]:
    """What may be otherwise than was meant; of observation groups that were guessed what to type instead."""
    sets = {findings.users_path(f"obs_groups.{name}"): name for name in findings.guesses}
    guesses = (
        f"{ours}: ['{sets[theirs]}'] is a guess, since '{theirs}' is missing; if the env has no group "
        f"'{sets[theirs]}', write `{ours}=[{','.join(findings.guesses[sets[theirs]])}]`, which rsl_rl takes then"
        for ours, theirs in findings.origins.items()
        if theirs in sets and ours.partition(".")[0] in config  # a teacher's groups are those of its own run
    )
    return (*guesses, *findings.to_check)


def _distills(top: Section, algorithm: Section) -> bool:
    """Whether a student is to be trained; where the algorithm is none, what the models say."""
    if "algorithm" not in top:
        top.problem("algorithm", "is missing; it has `class_name` and the options of PPO or Distillation")
        return "student" in top
    name = read_class(algorithm, ALGORITHMS)
    return name == "Distillation" if name else "student" in top


def _model(top: Section, name: str) -> tuple[Section, str]:
    """The section of a model and its class."""
    section = top.section(name)
    if name not in top:
        top.problem(name, "is missing; it has `class_name` and the options of a model")
        return section, ""
    return section, read_model(section)


def _actor_critic(
    top: Section, groups: Mapping[str, list[str]], observations: Mapping[str, TensorSpec | None] | None
) -> tuple[dict[str, Any], bool]:
    """The policy of PPO, and whether any of it is recurrent."""
    (actor, actor_class), (critic, critic_class) = _model(top, "actor"), _model(top, "critic")
    algorithm = top.section("algorithm")
    shared = algorithm.flag("share_cnn_encoders")
    network = translate_network(actor, actor_class, groups["actor"], "policy.actor.network", observations)
    policy: dict[str, Any] = {"name": "actor_critic"}
    policy["actor"] = translate_acting(actor, actor_class, network, "policy.actor")
    policy["critic"] = {
        "network": translate_network(
            critic,
            critic_class,
            groups["critic"],
            "policy.critic.network",
            observations,
            encoders=actor if shared and actor_class == "CNNModel" else None,
        )
    }
    if shared:
        policy["share_encoders"] = True
        top.findings.came_from("policy.share_encoders", "algorithm.share_cnn_encoders")
    if "distribution_cfg" in critic:
        _refuse_distribution(critic)
    return policy, "RNNModel" in (actor_class, critic_class)


def _refuse_distribution(critic: Section) -> None:
    """A critic's distribution is never drawn from; a Gaussian leaves values as they are, others do not."""
    if critic.section("distribution_cfg").get("class_name") == "GaussianDistribution":
        critic.findings.note("'critic.distribution_cfg' is left out; values are not drawn from a distribution")
    else:
        critic.problem("distribution_cfg", "is for models that act; values are not drawn from a distribution")


def _student_teacher(
    top: Section, groups: Mapping[str, list[str]], observations: Mapping[str, TensorSpec | None] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The policy of distillation, and the teacher."""
    (student, student_class), (teacher, teacher_class) = _model(top, "student"), _model(top, "teacher")
    network = translate_network(student, student_class, groups["student"], "policy.student.network", observations)
    policy = {
        "name": "student_teacher",
        "student": translate_acting(student, student_class, network, "policy.student"),
        "teacher": {"run": TEACHER_RUN},
    }
    network = translate_network(teacher, teacher_class, groups["teacher"], "teacher.network", observations)
    distribution = {"name": "gaussian"}
    if "distribution_cfg" in teacher:
        distribution = translate_distribution(teacher.section("distribution_cfg"), "teacher.distribution")
        # A teacher never draws, and configs have a standard deviation of 0 for it.
        distribution = {key: distribution[key] for key in ("name", "range") if key in distribution}
    return policy, {"network": network, "distribution": distribution}


def _extensions(
    algorithm: Section,
    groups: Mapping[str, list[str]],
    observations: Mapping[str, TensorSpec | None] | None,
    step_dt: float | None,
) -> list[dict[str, Any]]:
    extensions: list[dict[str, Any]] = []
    if "rnd_cfg" in algorithm:
        at, section = f"algorithm.extensions[{len(extensions)}]", algorithm.section("rnd_cfg")
        extensions.append(translate_rnd(section, at, groups["rnd_state"], observations, step_dt))
    if "symmetry_cfg" in algorithm:
        at = f"algorithm.extensions[{len(extensions)}]"
        extensions.append(translate_symmetry(algorithm.section("symmetry_cfg"), at))
    return extensions


def _check_values(
    config: dict[str, Any], teacher: dict[str, Any] | None, findings: Findings, registry: Registry
) -> None:
    """Gather what is wrong with values, so that it is told together with unknown keys."""
    try:
        structure(config, ExperimentConfig, registry)
    except ConfigError as error:
        findings.add_ours(problem for problem in error.problems if problem.path != "env")
    if teacher is None:
        return
    try:
        critic = {"network": {"name": "mlp"}}
        structure({"name": "actor_critic", "actor": teacher, "critic": critic}, PolicyComponent, registry)
    except ConfigError as error:
        findings.add_ours(
            Problem(problem.path.replace("actor", "teacher", 1), problem.message) for problem in error.problems
        )
