"""What a distribution asks of the env's actions, and which one to name where they are others."""

from __future__ import annotations

from rslcore.context import Context
from rslcore.specs import ActionSpec


def continuous_actions(name: str, context: Context) -> ActionSpec:
    """The env's actions, for the distribution `name`, which is over continuous ones.

    Raises:
        ConfigError: They are discrete.
    """
    actions = context.env_spec.actions
    if actions.is_discrete:
        fitting = "categorical" if actions.num_actions == 1 else "multi_categorical"
        raise context.error("name", f"'{name}' is for continuous actions; the env takes {actions}; use '{fitting}'")
    return actions


def discrete_actions(name: str, context: Context, *, single: bool) -> ActionSpec:
    """The env's actions, for the distribution `name`, which is over discrete ones.

    Args:
        name: The distribution, for messages.
        context: Gives the action spec.
        single: Whether it is over exactly one.

    Raises:
        ConfigError: They are continuous, or several where there should be one.
    """
    actions = context.env_spec.actions
    if not actions.is_discrete or (single and actions.num_actions != 1):
        wanted = "one discrete action" if single else "discrete actions"
        fitting = "multi_categorical" if actions.is_discrete else "gaussian"
        raise context.error("name", f"'{name}' is for {wanted}; the env takes {actions}; use '{fitting}'")
    return actions
