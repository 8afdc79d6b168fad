"""For the authors of plugins: what a component of each kind promises, as tests to inherit.

A contract is a class of tests for a kind of component. It asks for one fixture, the component as it stands in a config:

    import pytest
    from rslcore.testing import ExtensionContract

    class TestAmp(ExtensionContract):
        @pytest.fixture
        def component(self):
            return {"name": "amp", "style_reward_weight": 0.5}

What surrounds it (`env`, `policy`, `algorithm`, ...) are fixtures with defaults, any of which may be overridden.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rslcore.testing.algorithm import AlgorithmContract
    from rslcore.testing.contract import Contract
    from rslcore.testing.distribution import DistributionContract
    from rslcore.testing.env import EnvContract
    from rslcore.testing.extension import ExtensionContract
    from rslcore.testing.fakes import FakeEnv, make_context, make_observations, make_spec
    from rslcore.testing.logger import LoggerContract
    from rslcore.testing.network import NetworkContract
    from rslcore.testing.policy import PolicyContract
    from rslcore.testing.reads import count_host_reads
    from rslcore.testing.registry import build_registry, installed_registry
    from rslcore.testing.replay_storage import ReplayStorageContract
    from rslcore.testing.rollout_storage import RolloutStorageContract
    from rslcore.testing.runner import RunnerContract
    from rslcore.testing.running import make_case
    from rslcore.testing.storage import StorageContract

# Imported when first used: pytest loads `rslcore.testing.pytest_plugin` in every test suite, also in unrelated ones.
_LAZY = {
    "AlgorithmContract": "rslcore.testing.algorithm",
    "Contract": "rslcore.testing.contract",
    "DistributionContract": "rslcore.testing.distribution",
    "EnvContract": "rslcore.testing.env",
    "ExtensionContract": "rslcore.testing.extension",
    "FakeEnv": "rslcore.testing.fakes",
    "LoggerContract": "rslcore.testing.logger",
    "NetworkContract": "rslcore.testing.network",
    "PolicyContract": "rslcore.testing.policy",
    "ReplayStorageContract": "rslcore.testing.replay_storage",
    "RolloutStorageContract": "rslcore.testing.rollout_storage",
    "RunnerContract": "rslcore.testing.runner",
    "StorageContract": "rslcore.testing.storage",
    "build_registry": "rslcore.testing.registry",
    "count_host_reads": "rslcore.testing.reads",
    "installed_registry": "rslcore.testing.registry",
    "make_case": "rslcore.testing.running",
    "make_context": "rslcore.testing.fakes",
    "make_observations": "rslcore.testing.fakes",
    "make_spec": "rslcore.testing.fakes",
}

__all__ = [
    "AlgorithmContract",
    "Contract",
    "DistributionContract",
    "EnvContract",
    "ExtensionContract",
    "FakeEnv",
    "LoggerContract",
    "NetworkContract",
    "PolicyContract",
    "ReplayStorageContract",
    "RolloutStorageContract",
    "RunnerContract",
    "StorageContract",
    "build_registry",
    "count_host_reads",
    "installed_registry",
    "make_case",
    "make_context",
    "make_observations",
    "make_spec",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'rslcore.testing' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)
