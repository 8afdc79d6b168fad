"""The names of `rslcore.testing`."""

from __future__ import annotations

from rslcore.testing.cases import make_case
from rslcore.testing.contracts import (
    AlgorithmContract,
    Contract,
    DistributionContract,
    EnvContract,
    ExtensionContract,
    LoggerContract,
    NetworkContract,
    PolicyContract,
    ReplayStorageContract,
    RolloutStorageContract,
    RunnerContract,
    StorageContract,
)
from rslcore.testing.fakes.env import FakeEnv, make_spec
from rslcore.testing.inputs import make_context, make_observations
from rslcore.testing.reads import count_host_reads
from rslcore.testing.registry import build_registry, installed_registry

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
