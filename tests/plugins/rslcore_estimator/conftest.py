"""An estimator that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import torch
from torch import nn

from rslcore import Bindings
from rslcore.config import ExtensionComponent
from rslcore.context import Context
from rslcore.modules import ModuleTable
from rslcore.protocols import Storage
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore_estimator.extension import Estimator

GROUPS = {"policy": TensorSpec((1,)), "privileged": TensorSpec((1,)), "image": TensorSpec((1, 4, 4), "uint8")}


@pytest.fixture
def context(small_config) -> Context:
    """Two envs, rollouts of 4 steps."""
    spec = EnvSpec(2, GROUPS, ActionSpec(1, num_choices=(2,)))
    return Context(default_registry(), small_config(), torch.device("cpu"), 1, 4, spec=spec)


@pytest.fixture
def storage(context: Context) -> Storage:
    """A storage of what the env observes, without its image."""
    groups = {"policy": GROUPS["policy"], "privileged": GROUPS["privileged"]}
    made: Storage = attrs.evolve(context, spec=attrs.evolve(context.env_spec, observations=groups)).build(
        context.config.storage, "storage"
    )
    return made


@pytest.fixture
def build(context: Context, storage: Storage) -> Callable[..., Estimator]:
    """An `estimator` with a linear encoder of the 3 latest observations, whose estimate is 1.01 times their sum."""

    def make(**options: object) -> Estimator:
        config = default_registry().config_class("extension", "estimator")(
            **{"history_length": 3, "hidden_dims": (), "num_context": 1} | options
        )
        extension: Estimator = context.build(ExtensionComponent("estimator", config), "algorithm.extensions[0]")
        extension.bind(Bindings(None, ModuleTable(context.device), storage, {}, "estimator"))
        storage.add_fields(extension.fields())
        with torch.no_grad():
            for layer in (*extension.networks.encoder, *(extension.networks.decoder or ())):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
            extension.networks.encoder[0].weight[0] = 1.01  # inputs without statistics are divided by 1.01
        return extension

    return make
