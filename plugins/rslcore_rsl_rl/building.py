"""From rsl_rl's dict and env to a built algorithm of rslcore: what its runners and its algorithms have in common."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

import attrs
import torch

from rslcore.config import ExperimentConfig
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.memory import limited_parameters
from rslcore.protocols import Algorithm
from rslcore.registry import default_registry
from rslcore.training import build_algorithm
from rslcore_rsl_rl.translate_models import RNN_TYPES
from rslcore_rsl_rl.translation import Translation, structure_translated, translate
from rslcore_rsl_rl.vec_env import VecEnvAdapter

_log = logging.getLogger(__name__)

STUDENT_TEACHER = "student_teacher"


@attrs.frozen
class Built:
    """An algorithm and its surroundings.

    Attributes:
        train_cfg: rsl_rl's dict.
        config: What it was translated to.
        context: With the env.
        env: The adapter around what was handed over.
        algorithm: Of rslcore.
    """

    train_cfg: Mapping[str, Any]
    config: ExperimentConfig
    context: Context
    env: VecEnvAdapter
    algorithm: Algorithm


def build(train_cfg: Mapping[str, Any], env: VecEnvAdapter, device: torch.device) -> Built:
    """Translate, and build. A student has no teacher before a checkpoint is loaded.

    Args:
        train_cfg: rsl_rl's dict, of any version; it is not changed. What older versions called otherwise is logged.
        env: The adapter around an env with rsl_rl's interface.
        device: Where is learned.

    Raises:
        ConfigError: Something in the dict is wrong; all of it at once, under the dict's own names.
    """
    registry = default_registry()
    step_dt = getattr(env.unwrapped, "step_dt", None)
    translation = translate(train_cfg, env.spec.observations, step_dt=step_dt, registry=registry)
    translation = with_dividing_mini_batches(translation, env.spec.num_envs)
    for note in (*translation.notes, *translation.to_check):
        _log.warning("rslcore_rsl_rl: %s", note)
    handed_over = {"name": "vec_env", "num_envs": env.spec.num_envs}
    config = structure_translated(translation, handed_over, registry)
    steps: int = config.runner.config.num_steps_per_env
    restoring = config.policy.name == STUDENT_TEACHER
    context = Context(registry, config, device, config.seed, steps, spec=env.spec, env=env, restoring=restoring)
    try:
        with limited_parameters(device):
            algorithm = build_algorithm(context)
    except ConfigError as error:
        raise translation.in_users_words(error) from error
    return Built(train_cfg, config, context, env, algorithm)


def with_dividing_mini_batches(translation: Translation, num_envs: int) -> Translation:
    """The translation with as many minibatches as divide the rollout, where those of the dict do not.

    rsl_rl leaves out the rows that are left over. Here every minibatch has as many as another, so that a run that only
    plays, with one env for one, could not be built.
    """
    config = translation.config
    given = config["algorithm"].get("num_mini_batches")
    policy = config["policy"]
    if given is None or "actor" not in policy:
        return translation
    is_recurrent = any(policy[network]["network"]["name"] in RNN_TYPES for network in ("actor", "critic"))
    steps = config["runner"]["num_steps_per_env"]
    rows = num_envs if is_recurrent else num_envs * steps
    if rows % given == 0:
        return translation
    taken = next(number for number in range(min(given, rows), 0, -1) if rows % number == 0)
    changed = copy.deepcopy(config)
    changed["algorithm"]["num_mini_batches"] = taken
    what = f"{num_envs} envs" if is_recurrent else f"{num_envs} envs x {steps} steps"
    note = f"algorithm.num_mini_batches: {given} does not divide {what}, so {taken} is taken"
    return attrs.evolve(translation, config=changed, notes=(*translation.notes, note))
