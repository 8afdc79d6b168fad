"""Fixtures that the tests of the Gymnasium adapter share."""

from __future__ import annotations

import contextlib

import gymnasium
import pytest
import torch

from rslcore.config import EnvComponent
from rslcore.context import Context
from rslcore.registry import default_registry


@pytest.fixture
def build(small_config):
    """Makes an env of an id."""
    with contextlib.ExitStack() as stack:

        def make(id, seed=1, **options):
            config = default_registry().config_class("env", "gymnasium")(id=id, **options)
            context = Context(default_registry(), small_config(), torch.device("cpu"), seed, 8)
            return stack.enter_context(contextlib.closing(context.build(EnvComponent("gymnasium", config), "env")))

        yield make


@pytest.fixture
def register():
    """Makes an env known to Gymnasium for the time of a test."""
    yield lambda **options: gymnasium.register("Temporary-v0", max_episode_steps=9, **options)
    gymnasium.registry.pop("Temporary-v0")
