"""Distributions by name and options."""

from __future__ import annotations

import pytest
import torch

from rslcore.config import DistributionComponent, structure
from rslcore.context import Context
from rslcore.registry import default_registry
from rslcore.specs import EnvSpec, TensorSpec


@pytest.fixture
def build(small_config):
    def make(name, actions, **options):
        config = structure(options, default_registry().config_class("distribution", name), default_registry())
        spec = EnvSpec(2, {"policy": TensorSpec((2,))}, actions)
        context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)
        return context.build(DistributionComponent(name, config), "policy.actor.distribution")

    return make
