"""Names of tensors in the checkpoints of rsl_rl 1 to 4, and what they are called in rsl_rl 5.

Until 3.x, actor and critic, or student and teacher, were one module and lay in one dict, `model_state_dict`; until 2.x
normalizers lay beside it. 4.x has a dict a model, as 5.x has, and calls the standard deviation as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rslcore_rsl_rl.weights import STD, Place

_MODEL = "actor|critic|student|teacher"
_MEMORY = {"a": "actor", "c": "critic", "s": "student", "t": "teacher"}
_STD = {"std": STD["scalar"], "log_std": STD["log"]}

NORMALIZERS = {
    "obs_norm_state_dict": ("actor", "student"),
    "critic_obs_norm_state_dict": ("critic", "teacher"),
    "privileged_obs_norm_state_dict": ("critic", "teacher"),
}
"""Whose normalizers lay beside the models until 2.x, in PPO and in distillation."""


def place_in_one_dict(name: str, first: str) -> Place:
    """Where rsl_rl 5 keeps a tensor that had this name in `model_state_dict`; a name of nobody's stays as it is.

    Args:
        name: Of the tensor.
        first: The model that the standard deviation belongs to.
    """
    if name in _STD:
        return Place(first, _STD[name])
    if match := re.fullmatch(rf"({_MODEL})\.(\d+\..+)", name):
        return Place(match[1], f"mlp.{match[2]}")
    if match := re.fullmatch(rf"({_MODEL})_obs_normalizer\.(.+)", name):
        return Place(match[1], f"obs_normalizer.{match[2]}")
    if match := re.fullmatch(rf"({_MODEL})_cnns\.(.+)", name):
        return Place(match[1], f"cnns.{match[2]}")
    if match := re.fullmatch(r"memory_([acst])\.rnn\.(.+)", name):
        return Place(_MEMORY[match[1]], f"rnn.rnn.{match[2]}")
    return Place(first, name)


def place_in_model(name: str, model: str) -> Place:
    """Where rsl_rl 5 keeps a tensor that has this name in the dict of a model of 4.x or 5.x."""
    return Place(model, _STD.get(name, name))


def first_model(names: Iterable[str]) -> str:
    """The model of a `model_state_dict` that acts: `student` where there is one, else `actor`."""
    return "student" if any(name.startswith(("student", "memory_s")) for name in names) else "actor"


def normalizer_owner(key: str, models: Mapping[str, object]) -> str:
    """The model that a normalizer of 2.x belongs to, which lay under `key` beside the models."""
    of_ppo, of_distillation = NORMALIZERS[key]
    return of_distillation if "student" in models else of_ppo
