"""What stands around a component where nothing else is said."""

from __future__ import annotations

from typing import Any

from rslcore.config import components as component_classes
from rslcore.registry import KINDS

COMPONENT_CLASSES = {name: getattr(component_classes, f"{name.capitalize()}Component") for name in KINDS}
"""The class of a component in a config, by kind."""

COMPONENTS: dict[str, dict[str, Any]] = {
    "env": {"name": "fake"},
    "runner": {"name": "on_policy", "num_steps_per_env": 8},
    "storage": {"name": "rollout"},
    "algorithm": {"name": "ppo", "num_learning_epochs": 2, "num_mini_batches": 2},
    "network": {"name": "mlp", "hidden_dims": [8]},
    "distribution": {"name": "gaussian"},
}
"""A small component of each kind that others are made of, as it stands in a config."""

FAKE_ENVS: tuple[dict[str, Any], ...] = (
    {"name": "fake"},
    {"name": "fake", "actions": "bounded"},
    {"name": "fake", "actions": "discrete"},
    {"name": "fake", "actions": "multi_discrete"},
    {"name": "fake", "groups": {"policy": [1, 8, 8]}},
)
"""The fake env as components may need it: with other actions, or with images."""
