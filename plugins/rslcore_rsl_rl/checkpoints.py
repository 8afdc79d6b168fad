"""From a checkpoint of rsl_rl to the state of an algorithm of ours, and back, in memory.

`algorithm_state` lays the tensors of a file over the state of an algorithm that was just built, so that what the file
says nothing of stays as it was built. `rsl_rl_state` is the inverse: what rsl_rl 5 loads, strictly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from rslcore.errors import CheckpointError, listed, nearest
from rslcore_rsl_rl.files import RslRlFile, holds_models, is_rslcore, parse, read_rsl_rl
from rslcore_rsl_rl.optimizers import Group, to_flat, to_torch_state
from rslcore_rsl_rl.overlay import Overlay
from rslcore_rsl_rl.weights import (
    Place,
    bare_name,
    in_order,
    is_parameter,
    models_of,
    places,
    rnd_places,
    to_rsl_rl,
)

__all__ = [
    "PARTS",
    "RslRlFile",
    "algorithm_state",
    "default_parts",
    "from_dict",
    "is_rslcore",
    "left_out",
    "read_rsl_rl",
    "rsl_rl_state",
]

PARTS = ("actor", "critic", "student", "teacher", "optimizer", "iteration", "rnd")
"""What can be loaded by itself, by the keys of rsl_rl's `load_cfg`."""


WITHOUT_STD = "is_without_std"
"""Key of a teacher's state that says that rsl_rl's file had no standard deviation of it, so that it is given none."""


def from_dict(payload: Any, source: str) -> RslRlFile:
    """What rsl_rl of any version saves, or what rslcore does, in the form of rsl_rl 5.

    Args:
        payload: As `torch.load` gives it.
        source: What it is called in messages.

    Raises:
        CheckpointError: It is no such checkpoint, or rsl_rl has nothing like its policy.
    """
    if is_rslcore(payload) and not holds_models(payload):
        payload = rsl_rl_state(payload["algorithm"], payload["config"], payload["iteration"])
    return parse(payload, source)


def default_parts(file: RslRlFile, config: Mapping[str, Any]) -> frozenset[str]:
    """What rsl_rl loads where it is not told: all; but for distillation only the teacher from a file of PPO's.

    Args:
        file: The checkpoint.
        config: Of the run that loads it, as plain data.
    """
    if bare_name(config["policy"]) == "student_teacher" and "student" not in file.models:
        return frozenset({"teacher"})
    return frozenset(PARTS)


def algorithm_state(
    file: RslRlFile,
    ours: Mapping[str, Any],
    config: Mapping[str, Any],
    parts: Collection[str] | None = None,
    *,
    teacher: Mapping[str, Any] | None = None,
    strict: bool = True,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The state of an algorithm of ours with the tensors of a file.

    Args:
        file: The checkpoint.
        ours: `Algorithm.state_dict()` of PPO or distillation; it is not changed.
        config: The run's config as plain data, with every default.
        parts: Of `PARTS`, those that are taken; `default_parts` by default. The iteration is the caller's to take.
        teacher: The teacher of a student, from `teacher_state`; without it the student keeps the one it has.
        strict: Whether it is an error if tensors are missing or left over, and not a note.

    Returns:
        The state for `Algorithm.load_state_dict`, and in words what was left out or begins anew.

    Raises:
        CheckpointError: Tensors are missing, left over or of another shape; lists each of them once.
    """
    chosen = default_parts(file, config) if parts is None else frozenset(parts)
    _check_parts(chosen)
    modules = dict(ours["modules"])
    notes = list(file.notes)
    overlay = Overlay(file)
    places_of_policy = places(modules["policy"]["module"], config["policy"])
    taken = [model for model in models_of(config["policy"]) if model in chosen]
    policy = overlay.lay(modules["policy"]["module"], places_of_policy, taken)
    if teacher is not None and "teacher" in chosen:
        policy["_extra_state"] = dict(teacher)
    modules["policy"] = {**modules["policy"], "module": policy}
    if "rnd" in chosen and "rnd" in modules and "rnd" in file.models:
        modules["rnd"] = _rnd(file, overlay, modules["rnd"], notes)
    elif "rnd" in chosen and "rnd" in modules:
        overlay.absent.append("the config has the extension 'rnd', and the file no rnd_state_dict")
    elif "rnd" in chosen and "rnd" in file.models:
        notes.append("rnd_state_dict is left out: the config has no extension 'rnd'")
    notes += overlay.judge(strict)
    state = {**ours, "modules": modules}
    if "optimizer" in chosen:
        _take_optimizer(file, state, config, places_of_policy, notes)
    others = [name for name in modules if name not in ("policy", "rnd")]
    if others:
        notes.append(f"{listed(others)} of this config begins anew: a file of rsl_rl has nothing of it")
    return state, tuple(notes)


def rsl_rl_state(
    state: Mapping[str, Any], config: Mapping[str, Any], iteration: int, infos: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What rsl_rl 5 saves, and loads strictly where its config is the same; plain data and tensors.

    Args:
        state: `Algorithm.state_dict()` of PPO or distillation.
        config: The run's config as plain data, with every default.
        iteration: Number of iterations done; rsl_rl's `iter` is one less, the index of the last one.
        infos: Given back by rsl_rl's `load`.

    Raises:
        CheckpointError: rsl_rl has nothing like this policy, or no place for some of its tensors.
    """
    policy = config["policy"]
    models_of(policy)  # before the state is looked at, which may be of any algorithm
    modules = state["modules"]
    own = places(modules["policy"]["module"], policy)
    models = _models(modules["policy"]["module"], own)
    saved: dict[str, Any] = {f"{model}_state_dict": tensors for model, tensors in models.items()}
    if teacher := modules["policy"]["module"].get("_extra_state"):
        saved["teacher_state_dict"] = _teacher_tensors(teacher)
    names = [f"{model}.{name}" for model, tensors in models.items() for name in tensors if is_parameter(name)]
    shared = _shared_names(policy, names)
    rate = float(state.get("learning_rate", config["algorithm"]["learning_rate"]))
    groups = _groups(modules["policy"]["module"], own, policy)
    saved["optimizer_state_dict"] = to_torch_state(
        state["optimizer"], [shared.get(name, name) for name in names], groups, rate
    )
    if "rnd" in modules:
        rnd = modules["rnd"]["module"]
        there = rnd_places(rnd)
        saved["rnd_state_dict"] = _models(rnd, there)["rnd"]
        group = _rnd_group(rnd, there)
        rate = next(each["learning_rate"] for each in config["algorithm"]["extensions"] if bare_name(each) == "rnd")
        saved["rnd_optimizer_state_dict"] = to_torch_state(modules["rnd"]["optimizer"], [*group], [group], rate)
    return {**saved, "iter": max(iteration - 1, 0), "infos": None if infos is None else dict(infos)}


def left_out(state: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, ...]:
    """In words, what of a state `rsl_rl_state` leaves out."""
    notes = [
        f"the extension '{name}' is left out: rsl_rl has nothing like it"
        for name in dict.fromkeys([*state["modules"], *state["extensions"]])
        if name not in ("policy", "rnd", "symmetry")
    ]
    if "rnd" in state["modules"]:
        notes.append("rsl_rl counts the env steps by which rnd's weight goes from 0 again")
    if config["policy"].get("share_encoders"):
        notes.append("encoders that are shared step once here and twice in rsl_rl; their moments are those of here")
    return tuple(notes)


def _check_parts(parts: Collection[str]) -> None:
    if unknown := sorted(set(parts) - set(PARTS)):
        hint = nearest(unknown[0], PARTS)
        raise CheckpointError(f"a checkpoint has no parts {listed(unknown)}{hint} (it has {listed(PARTS)})")


def _take_optimizer(
    file: RslRlFile, state: dict[str, Any], config: Mapping[str, Any], there: Mapping[str, Place], notes: list[str]
) -> None:
    """Put the moments and the learning rate of a file into a state; what cannot be is noted."""
    theirs = file.optimizers.get("policy")
    if theirs is None:
        notes.append("the file holds no optimizer_state_dict: the optimizer's moments begin anew")
        return
    groups = _groups(state["modules"]["policy"]["module"], there, config["policy"])
    state["optimizer"], fault = to_flat(theirs, state["optimizer"], groups)
    if fault:
        notes.append(f"the optimizer's moments begin anew: {fault}")
    if theirs.learning_rate is None:
        return
    if "learning_rate" in state:
        state["learning_rate"] = torch.full_like(state["learning_rate"], theirs.learning_rate)
    options = config["algorithm"]
    rate = options["learning_rate"]
    if options.get("schedule") != "adaptive" and abs(rate - theirs.learning_rate) > 1e-6 * rate:
        notes.append(f"the learning rate is that of the config, {rate:g}; the file has {theirs.learning_rate:g}")


def _rnd(file: RslRlFile, overlay: Overlay, entry: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The state of the module `rnd` with what the file has of it."""
    there = rnd_places(entry["module"])
    laid = overlay.lay(entry["module"], there, ["rnd"])
    optimizer, fault = entry["optimizer"], "the file holds no rnd_optimizer_state_dict"
    if "rnd" in file.optimizers:
        optimizer, fault = to_flat(file.optimizers["rnd"], optimizer, [_rnd_group(laid, there)])
    if fault:
        notes.append(f"the moments of rnd's optimizer begin anew: {fault}")
    notes.append("rnd's weight begins anew: the file does not say how many env steps it has counted")
    return {**entry, "module": laid, "optimizer": optimizer}


def _models(ours: Mapping[str, Any], there: Mapping[str, Place]) -> dict[str, dict[str, Tensor]]:
    """The tensors of a module by rsl_rl's models and names."""
    models: dict[str, dict[str, Tensor]] = {}
    for key, place in there.items():
        models.setdefault(place.model, {}).update(to_rsl_rl(place.name, ours[key]))
    return {model: in_order(tensors) for model, tensors in models.items()}


def _teacher_tensors(teacher: Mapping[str, Any]) -> dict[str, Tensor]:
    """The actor of a teacher; without a standard deviation if it came from rsl_rl without one."""
    module, policy = teacher["algorithm"]["modules"]["policy"]["module"], teacher["config"]["policy"]
    tensors = _models(module, places(module, policy))[models_of(policy)[0]]
    if teacher.get(WITHOUT_STD):
        return {name: tensor for name, tensor in tensors.items() if not name.startswith("distribution.")}
    return tensors


def _groups(ours: Mapping[str, Any], there: Mapping[str, Place], policy: Mapping[str, Any]) -> list[Group]:
    """The parameters of a policy that are trained, in the order of its groups."""
    models = models_of(policy)
    learns_std = policy[models[0]]["distribution"].get("learn_std", True)
    groups: dict[str, dict[str, torch.Size]] = {model: {} for model in models}
    for key, place in there.items():
        is_fixed = place.name.startswith("distribution.") and not learns_std
        if is_parameter(place.name) and not is_fixed and not _is_shared(policy, str(place)):
            groups[place.model][str(place)] = ours[key].shape
    return [*groups.values()]


def _rnd_group(ours: Mapping[str, Any], there: Mapping[str, Place]) -> Group:
    """The parameters of rnd that are trained."""
    return {str(place): ours[key].shape for key, place in there.items() if place.name.startswith("predictor.")}


def _is_shared(policy: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter of the critic is one of the actor's."""
    return bool(policy.get("share_encoders")) and name.startswith("critic.cnns.")


def _shared_names(policy: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """What the critic's parameters that are the actor's are called there."""
    return {name: f"actor.{name.removeprefix('critic.')}" for name in names if _is_shared(policy, name)}
