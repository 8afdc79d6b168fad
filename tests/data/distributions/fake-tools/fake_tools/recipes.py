"""Recipes that are computed."""

import yaml

from rslcore.config import recipe_text
from rslcore.registry import Registry


def sized(asked):
    """CartPole, with networks as wide as there are envs."""
    config = yaml.safe_load(recipe_text("cartpole", (), Registry.discover()))
    width = asked.get("env", {}).get("num_envs", 8)
    for network in ("actor", "critic"):
        config["policy"][network]["network"] = {"name": "mlp", "hidden_dims": [width]}
    return config


def broken(asked):
    """Nothing."""
    raise KeyError("missing")
