"""The teacher of a student: a model of rsl_rl's file, as the whole policy that a teacher is here.

rsl_rl's teacher is a network, described beside the student's in one config. Here it is a trained policy with a config
of its own, which travels in the student's checkpoint (see `rslcore.evaluation.InferencePolicy.state_dict`). So the
network becomes the actor of a PPO run that is never trained; what a critic of that run would be is of no matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rslcore.config import ExperimentConfig, structure, unstructure
from rslcore.context import Context
from rslcore.errors import CheckpointError
from rslcore.evaluation import InferencePolicy
from rslcore.specs import TensorSpec
from rslcore.training import build_algorithm, num_steps_per_env
from rslcore_rsl_rl.checkpoints import WITHOUT_STD, algorithm_state
from rslcore_rsl_rl.files import RslRlFile
from rslcore_rsl_rl.weights import bare_name, models_of, places

_ANY_DISTRIBUTION = {"class_name": "GaussianDistribution"}
"""Of a teacher that has none: its mean is what the network gives."""


def teacher_config(
    train_cfg: Mapping[str, Any], observations: Mapping[str, TensorSpec] | None = None
) -> dict[str, Any]:
    """The config, without an env, of a PPO run whose actor is the teacher of a config of rsl_rl's.

    Args:
        train_cfg: rsl_rl's, of any version, with a teacher.
        observations: The env's groups, where they are known.

    Raises:
        ConfigError: The teacher's part of the config is wrong.
    """
    from rslcore_rsl_rl.translation import translate
    from rslcore_rsl_rl.upgrade import upgrade

    upgraded, _ = upgrade(train_cfg)
    teacher = upgraded["teacher"]
    named = "teacher" if observations is not None and "teacher" in observations else "policy"
    groups = upgraded.get("obs_groups", {}).get("teacher", [named])
    # It never draws, and configs have a standard deviation of 0 for it.
    given = teacher.get("distribution_cfg") or _ANY_DISTRIBUTION
    distribution = {key: given[key] for key in ("class_name", "action_range", "std_type") if key in given}
    run: dict[str, Any] = {
        "algorithm": {"class_name": "PPO", "num_mini_batches": 1},
        "actor": {**teacher, "distribution_cfg": distribution},
        "critic": {**teacher, "distribution_cfg": None},
        "obs_groups": {"actor": groups, "critic": groups},
        **{key: upgraded[key] for key in ("num_steps_per_env", "save_interval") if key in upgraded},
    }
    return translate(run, observations).config


def teacher_state(file: RslRlFile, config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """The teacher of a file, or the actor of a file of PPO's, as `algorithm_state` takes it.

    Args:
        file: The checkpoint.
        config: From `teacher_config`.
        context: The student's; gives the env's config and spec.

    Raises:
        CheckpointError: The file has no teacher, or it does not fit the config; lists every tensor that does not.
    """
    name = "teacher" if "teacher" in file.models else "actor"
    if name not in file.models:
        raise CheckpointError(f"{file.source} holds neither a teacher nor an actor that could be one")
    structured = structure({**config, "env": unstructure(context.config.env)}, ExperimentConfig, context.registry)
    spec = context.env_spec if context.env is None else context.env.spec  # the env's own, not those of extensions
    surroundings = Context(
        context.registry, structured, context.device, 0, num_steps_per_env(structured), spec=spec, restoring=True
    )
    algorithm = build_algorithm(surroundings)
    plain, fresh = unstructure(structured), algorithm.state_dict()
    actor, has_std = _as_actor(file, name, fresh, plain)
    try:
        state, _ = algorithm_state(actor, fresh, plain, parts={"actor"})
    except CheckpointError as error:
        raise CheckpointError(f"the teacher: {error}") from error
    algorithm.load_state_dict(state)
    algorithm.eval_mode()
    marked = {} if has_std else {WITHOUT_STD: True}
    return {**InferencePolicy(algorithm, surroundings).state_dict(), **marked}


def _as_actor(
    file: RslRlFile, name: str, fresh: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[RslRlFile, bool]:
    """The file with the teacher for its actor, and whether that has a standard deviation; it gets the config's if not.

    No teacher of rsl_rl 1 to 3 has one, since it only acts; and where rsl_rl 5 is given none, neither.
    """
    tensors = dict(file.models[name])
    has_std = any(each.startswith("distribution.") for each in tensors)
    module = fresh["modules"]["policy"]["module"]
    for key, place in places(module, config["policy"]).items():
        if not has_std and place.model == models_of(config["policy"])[0] and place.name.startswith("distribution."):
            tensors[place.name] = module[key]
    is_gaussian = bare_name(config["policy"]["actor"]["distribution"]) == "gaussian"
    names = {f"actor.{each}": file.names.get(f"{name}.{each}", f"{name}_state_dict['{each}']") for each in tensors}
    return attrs.evolve(file, models={"actor": tensors}, names=names, notes=()), has_std or not is_gaussian
