"""What a component of each kind promises, one file a kind, and which contract a component keeps."""

from __future__ import annotations

from typing import Any

from rslcore.testing.contracts.algorithm import AlgorithmContract
from rslcore.testing.contracts.base import Contract
from rslcore.testing.contracts.distribution import DistributionContract
from rslcore.testing.contracts.env import EnvContract
from rslcore.testing.contracts.extension import ExtensionContract
from rslcore.testing.contracts.logger import LoggerContract
from rslcore.testing.contracts.network import NetworkContract
from rslcore.testing.contracts.policy import PolicyContract
from rslcore.testing.contracts.replay_storage import ReplayStorageContract
from rslcore.testing.contracts.rollout_storage import RolloutStorageContract
from rslcore.testing.contracts.runner import RunnerContract
from rslcore.testing.contracts.storage import StorageContract

__all__ = [
    "AlgorithmContract",
    "Contract",
    "DistributionContract",
    "EnvContract",
    "ExtensionContract",
    "LoggerContract",
    "NetworkContract",
    "PolicyContract",
    "ReplayStorageContract",
    "RolloutStorageContract",
    "RunnerContract",
    "StorageContract",
    "find_contract",
]

CONTRACTS: dict[str, type[Contract]] = {contract.kind: contract for contract in Contract.__subclasses__()}
"""The contract of each kind; that of a storage depends on how it is read."""


def find_contract(kind: str, factory: Any) -> type[Contract]:
    """The contract of a component.

    Args:
        kind: Of the component.
        factory: What builds it; of a storage, a class that has the methods of its protocol.
    """
    if kind == "storage":
        if hasattr(factory, "mini_batches"):
            return RolloutStorageContract
        if hasattr(factory, "sample"):
            return ReplayStorageContract
    return CONTRACTS[kind]
