"""Which contract a component keeps."""

from __future__ import annotations

from typing import Any

from rslcore.testing.algorithm import AlgorithmContract
from rslcore.testing.contract import Contract
from rslcore.testing.distribution import DistributionContract
from rslcore.testing.env import EnvContract
from rslcore.testing.extension import ExtensionContract
from rslcore.testing.logger import LoggerContract
from rslcore.testing.network import NetworkContract
from rslcore.testing.policy import PolicyContract
from rslcore.testing.replay_storage import ReplayStorageContract
from rslcore.testing.rollout_storage import RolloutStorageContract
from rslcore.testing.runner import RunnerContract
from rslcore.testing.storage import StorageContract

CONTRACTS: dict[str, type[Contract]] = {
    contract.kind: contract
    for contract in (
        AlgorithmContract,
        DistributionContract,
        EnvContract,
        ExtensionContract,
        LoggerContract,
        NetworkContract,
        PolicyContract,
        RunnerContract,
        StorageContract,
    )
}
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
