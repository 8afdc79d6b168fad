"""The recipe of a task that brings settings for rsl_rl: what the plugins of the simulators have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from rslcore_rsl_rl.translation import translate

_log = logging.getLogger(__name__)

LOGGERS = [{"name": "console"}, {"name": "tensorboard"}]
"""Instead of the task's own, which are an account at Weights & Biases for most."""


def task_recipe(
    agent: Mapping[str, Any], env: Mapping[str, Any], groups: Iterable[str] | None, step_dt: float | None
) -> dict[str, Any]:
    """The config of a task with its own agent's settings. What is different here is logged, and what may be otherwise
    than was meant.

    Args:
        agent: The settings, a dict of rsl_rl's.
        env: The env, as plain data.
        groups: Names of the task's observation groups; None where they are known when the env is made, which is where
            the settings are the user's own: what is to be looked at is a warning then.
        step_dt: Seconds of an env step.

    Raises:
        ConfigError: The settings cannot be translated.
    """
    translation = translate(agent, None if groups is None else dict.fromkeys(groups), step_dt=step_dt)
    for note in translation.notes:
        _log.info("the task's settings for rsl_rl: %s", note)
    for sentence in translation.to_check:
        _log.log(logging.WARNING if groups is None else logging.INFO, "the task's settings for rsl_rl: %s", sentence)
    config = translation.config
    config["runner"]["init_at_random_ep_len"] = True  # as the scripts of these projects do
    return {**config, "loggers": LOGGERS, "env": {**env, "clip_actions": agent.get("clip_actions")}}
