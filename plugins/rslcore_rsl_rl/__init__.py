"""rsl_rl's users at home: their runners, environments, configurations and checkpoints, as an rslcore plugin.

`from rslcore_rsl_rl import OnPolicyRunner` takes what rsl_rl's runner takes; `rslcore_rsl_rl:PPO` is an algorithm for
rsl_rl's own runner.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rslcore_rsl_rl.algorithm import PPO, Distillation
    from rslcore_rsl_rl.runner import DistillationRunner, OnPolicyRunner

__all__ = ["PPO", "Distillation", "DistillationRunner", "OnPolicyRunner"]

_HOMES = {
    "PPO": "rslcore_rsl_rl.algorithm",
    "Distillation": "rslcore_rsl_rl.algorithm",
    "OnPolicyRunner": "rslcore_rsl_rl.runner",
    "DistillationRunner": "rslcore_rsl_rl.runner",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: listing plugins imports this package, and needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
