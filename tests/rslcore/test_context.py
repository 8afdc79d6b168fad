"""Components are built by name, and a factory that fails is the fault of its plugin."""

from __future__ import annotations

import contextlib
import re

import attrs
import pytest
import torch

from rslcore.config import NetworkComponent
from rslcore.context import Context
from rslcore.errors import ConfigError, PluginFaultError, RslcoreError
from rslcore.protocols import ReplayStorage, RolloutStorage
from rslcore.registry import default_registry


@pytest.mark.parametrize(
    ("name", "reason", "cause"),
    [
        ("raises", "failed when it was built: KeyError: 'layers'", KeyError),
        (
            "inner_type_error",
            "failed when it was built: TypeError: len() takes exactly one argument (0 given)",
            TypeError,
        ),
        (
            "signature",
            "cannot be built: 'fake_faulty.network:Signature' is called with (config, context, num_outputs): "
            "got an unexpected keyword argument 'num_outputs'",
            TypeError,
        ),
        (
            "no_callable",
            "cannot be built: 'fake_faulty.network:no_callable' is called with (config, context, num_outputs): "
            "it cannot be called",
            TypeError,
        ),
    ],
)
def test_build_factory_that_raises_names_component_and_source(install, small_config, name, reason, cause):
    context = Context(install("fake-faulty"), small_config(), torch.device("cpu"), 1, 8)
    message = f"network '{name}' of fake-faulty 1.0 {reason}"
    with pytest.raises(PluginFaultError, match=f"^{re.escape(message)}$") as caught:
        context.build(NetworkComponent(name, None), "actor.network", num_outputs=2)
    assert isinstance(caught.value.__cause__, cause)


def test_build_error_that_the_user_can_mend_stays_as_it_is(small_config):
    config = small_config("env.id=Nothing-v0")
    from rslcore.registry import default_registry

    context = Context(default_registry(), config, torch.device("cpu"), 1, 8)
    with pytest.raises(RslcoreError, match="^env.id: Gymnasium knows no env 'Nothing-v0'"):
        context.build(config.env, "env")


def test_build_as_refuses_what_the_algorithm_cannot_use(small_config):
    config = small_config()
    context = Context(default_registry(), config, torch.device("cpu"), 1, 8)
    with contextlib.closing(context.build(config.env, "env")) as env:
        context = attrs.evolve(context, env=env, spec=env.spec)
        built = context.build_as(RolloutStorage, config.storage, "storage", "keeps no rollout")
        assert isinstance(built, RolloutStorage)
        message = "^storage.name: 'rollout' keeps no replay, which algorithm 'ppo' needs; write replay$"
        with pytest.raises(ConfigError, match=message):
            context.build_as(ReplayStorage, config.storage, "storage", "keeps no replay", "write replay")
