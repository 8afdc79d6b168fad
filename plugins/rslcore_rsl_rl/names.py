"""Names of rsl_rl's classes and functions, and ours for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rslcore.errors import listed, nearest
from rslcore_rsl_rl.sections import Section

ACTIVATIONS = {
    "elu": "elu",
    "selu": "selu",
    "relu": "relu",
    "crelu": "celu",
    "lrelu": "leaky_relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "softplus": "softplus",
    "gelu": "gelu",
    "swish": "silu",
    "mish": "mish",
}
"""Activations by rsl_rl's name; without `identity`, for which there is none here."""

OURS = ("rsl_rl", "rslcore_rsl_rl")
"""Packages whose classes are known here; a class of the second is one that rsl_rl can construct."""

CUSTOM = (
    "is no class of rsl_rl; rslcore has no place for it here: it would have to be a plugin of rslcore, or an extension "
    "of PPO, see 'Configs' in docs/rsl_rl.md"
)
"""What is said of a class of the user's own."""


def read_class(section: Section, known: Iterable[str], default: str = "") -> str:
    """The bare name of the class that a section names; "", with a problem, if it is none of the known ones.

    Args:
        section: Has `class_name`: a class, or its name with or without a module (`rsl_rl.models:MLPModel`).
        known: Bare names.
        default: Where the section names none; it is a problem without a default.
    """
    known = list(known)
    if not section.is_mapping:
        return ""
    value = section.get("class_name", default)
    if value == "":
        section.problem("class_name", f"is missing; it names the class, one of {listed(known)}")
        return ""
    name, module = _split(value)
    if name is None:
        section.problem("class_name", f"{value!r} ({type(value).__name__}) should name a class, one of {listed(known)}")
        return ""
    if module and module.partition(".")[0] not in OURS:
        section.problem("class_name", f"'{module}:{name}' {CUSTOM}")
        return ""
    if name not in known:
        section.problem("class_name", f"'{name}' is none of {listed(known)}{nearest(name, known)}")
        return ""
    return name


def _split(value: Any) -> tuple[str | None, str]:
    """Name and module of a class, of which either may be given; the name is None if it is neither."""
    if isinstance(value, type):
        return value.__qualname__, value.__module__
    if not isinstance(value, str):
        return None, ""
    module, _, name = value.rpartition(":" if ":" in value else ".")
    return name, module


def read_activation(section: Section) -> str | None:
    """Our name of the section's activation; None, with a problem unless there is none."""
    if "activation" not in section:
        return None
    value = section["activation"]
    name = value.lower() if isinstance(value, str) else ""
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    if name == "identity":
        section.problem("activation", "'identity' has no counterpart in rslcore; write a nonlinearity")
    else:
        section.problem("activation", f"{value!r} is none of {listed(ACTIVATIONS)}{nearest(name, ACTIVATIONS)}")
    return None


def read_function(section: Section, key: str) -> str | None:
    """A function, or its name as rsl_rl takes it, as `module:function`; None, with a problem, if it is none."""
    value = section.get(key)
    if isinstance(value, str):
        module, _, name = value.rpartition(":" if ":" in value else ".")
    else:
        module, name = getattr(value, "__module__", None) or "", getattr(value, "__qualname__", "")
    if module and name and "<" not in name:
        return f"{module}:{name}"
    section.problem(key, f"{value!r} cannot be named; give a function of a module, or its name as 'module:function'")
    return None
