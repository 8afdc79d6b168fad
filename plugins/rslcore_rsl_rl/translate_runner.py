"""What rsl_rl's runner reads: length of a rollout, checkpoints, loggers, and which groups each network observes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rslcore.errors import listed, nearest, nearest_name
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.names import read_class
from rslcore_rsl_rl.sections import Findings, Options, Section

KNOWN = (
    "actor",
    "algorithm",
    "check_for_nan",
    "checkpoint",
    "class_name",
    "clip_actions",
    "critic",
    "device",
    "empirical_normalization",
    "experiment_name",
    "load_checkpoint",
    "load_run",
    "log_interval",
    "logger",
    "max_iterations",
    "multi_gpu",
    "neptune_project",
    "num_steps_per_env",
    "obs_groups",
    "policy",
    "resume",
    "resume_path",
    "run_name",
    "runner_class_name",
    "save_interval",
    "seed",
    "student",
    "teacher",
    "torch_compile_mode",
    "upload_model",
    "wandb_project",
    "wandb_tags",
)
"""Keys that rsl_rl, or a script of a project that uses it, reads."""

_LOGGERS = ("tensorboard", "wandb", "neptune")
_WRITERS = {
    "SummaryWriter": "tensorboard",
    "tensorboard": "tensorboard",
    "WandbLogWriter": "wandb",
    "NeptuneLogWriter": "neptune",
}


def translate_runner(top: Section) -> dict[str, Any]:
    """The keys of an experiment that rsl_rl has at the top, but for policy and algorithm."""
    _note_misspellings(top)
    options = Options("", top)
    _take_name(options)
    if top.get("seed") == -1:
        top.findings.note("'seed' (-1) stands for a random one in Isaac Lab; here it is left out")
    else:
        options.take("seed")
    options.take(max_iterations="iterations")
    runner = Options("runner", top, name="on_policy")
    if "num_steps_per_env" not in top:
        near = nearest_name("num_steps_per_env", [key for key in top if key not in KNOWN], similarity=0.85)
        hint = f"; is '{near}' meant for it?" if near else ""
        top.problem("num_steps_per_env", f"is missing, and rsl_rl has no default for it{hint}")
    runner.take("num_steps_per_env", "save_interval")
    options.values["runner"] = runner.values
    options.values["loggers"] = _loggers(top)
    if "check_for_nan" in top and not top.flag("check_for_nan"):
        options.put("on_bad_numbers", "skip", "check_for_nan")
        top.findings.note(
            "'check_for_nan' (False) is 'on_bad_numbers: skip' here: the run goes on, and learns nothing from steps "
            "whose numbers are not finite"
        )
    return options.values


def _note_misspellings(top: Section) -> None:
    """Unknown keys are for scripts; one that is nearly called like a known one that is missing may be meant for it."""
    missing = [key for key in KNOWN if key not in top]
    for key in top:
        near = nearest_name(key, missing, similarity=0.85) if key not in KNOWN else None
        if near:
            top.findings.check(f"'{top.findings.users_path(key)}' is not read; did you mean '{near}'?")


def _take_name(options: Options) -> None:
    """The experiment's name, which is that of a folder here."""
    name = options.section.get("experiment_name", "")
    if not isinstance(name, str) or not name:
        if name != "":
            options.take(experiment_name="experiment")
        return
    folder = re.sub(r"[^\w.-]", "_", name).lstrip(".-")
    if folder != name:
        options.section.findings.note(f"'experiment_name' ({name}) names a folder here and is written '{folder}'")
    options.put("experiment", folder or "run", "experiment_name")


def _loggers(top: Section) -> list[dict[str, Any]]:
    """Loggers; rsl_rl prints to the console, and writes for TensorBoard whatever else it writes for."""
    loggers: list[dict[str, Any]] = [{"name": "console"}, {"name": "tensorboard"}]
    value = top.get("logger", "tensorboard")
    section = top.section("logger") if isinstance(value, Mapping) else None
    kind, project = _logger_kind(top, value, section)
    if kind == "neptune":
        top.findings.note("'logger' (neptune) has no counterpart here; events are written for TensorBoard")
    if kind == "wandb":
        wandb: dict[str, Any] = {"name": "wandb"}
        at = f"loggers[{len(loggers)}]"
        if project is not None:
            wandb["project"] = project
            key = "wandb_project" if section is None else "logger.project_name"
            top.findings.came_from(f"{at}.project", key)
        tags = Options(at, top)
        tags.take(wandb_tags="tags", upload_model="upload_models")
        loggers.append({**wandb, "upload_models": True, **tags.values})  # as rsl_rl does if it is not told
        top.findings.came_from(at, "logger")
    return loggers


def _logger_kind(top: Section, value: Any, section: Section | None) -> tuple[str, Any]:
    """Which logger is asked for, and the project that it writes to."""
    if section is not None:
        writer = section.get("class_name")
        module = getattr(writer, "__module__", str(writer).rpartition(":" if ":" in str(writer) else ".")[0])
        if writer is not None and module.partition(".")[0] not in ("", "rsl_rl", "builtins"):
            top.findings.note(f"'logger.class_name' ({writer}) is a writer of your own, which is not called here")
            return "tensorboard", None
        name = read_class(section, _WRITERS)
        section.refuse_unknown(("class_name", "project_name"), name or "LogWriter")
        return _WRITERS.get(name, "tensorboard"), section.get("project_name")
    if not isinstance(value, str) or value.lower() not in _LOGGERS:
        top.problem("logger", f"{value!r} is none of {listed(_LOGGERS)}{nearest(str(value).lower(), _LOGGERS)}")
        return "tensorboard", None
    return value.lower(), top.get("wandb_project")


def resolve_groups(
    top: Section, sets: Sequence[str], observations: Mapping[str, TensorSpec | None] | None
) -> dict[str, list[str]]:
    """The observation groups of each set, as rsl_rl's `resolve_obs_groups` finds them.

    Args:
        top: Has `obs_groups`.
        sets: Those that the algorithm needs.
        observations: The groups of the env. Where they are not known, a set that is missing is taken to be the group of
            its name, and is one of the findings' guesses.
    """
    section, findings = top.section("obs_groups"), top.findings
    if observations is not None and not list(section) and not findings.fallback_set:
        findings.note("'obs_groups' is empty, and observation sets are made of the groups that the env has")
    found = {name: _read_groups(section, name, observations) for name in section}
    for name in sets:
        if name in found:
            continue
        if observations is None or name in observations:
            found[name] = [name]
        elif findings.fallback_set in found:
            found[name] = found[findings.fallback_set]
        elif "policy" in observations:
            found[name] = ["policy"]
        else:
            section.problem(
                name,
                f"is missing, and the env has neither a group '{name}' nor 'policy' (groups: {listed(observations)})",
            )
            found[name] = []
        if observations is None:
            findings.guesses[name] = found.get(findings.fallback_set, ["policy"])
        elif found[name] and not findings.fallback_set:
            findings.note(f"'obs_groups.{name}' is missing; it is taken to be {found[name]}, as in rsl_rl, which warns")
    return {name: found[name] for name in sets}


def _read_groups(section: Section, name: str, observations: Mapping[str, TensorSpec | None] | None) -> list[str]:
    groups = section[name]
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        section.problem(name, f"{groups!r} should be a list of names of observation groups")
        return []
    if not groups:
        section.problem(name, "is an empty list; name the observation groups that are read")
    for index, group in enumerate(groups):
        if observations is not None and group not in observations:
            message = f"the env has no group '{group}'{nearest(group, observations)} (groups: {listed(observations)})"
            section.problem(f"{name}[{index}]", message)
    return groups


def note_unused(findings: Findings, top: Section, sections: Sequence[str]) -> None:
    """Models that the algorithm has no use for."""
    for name in sections:
        if name in top:
            findings.note(f"'{name}' is not read by '{top.section('algorithm').get('class_name')}'")
