"""The modules that an algorithm trains: registered once, then saved, loaded, moved and switched together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol

import attrs
import torch
from torch import nn

from rslcore.errors import CheckpointError, ExtensionError, listed

LearningRate = Literal["adaptive"] | float
"""`adaptive` follows the algorithm's own learning rate; a number stays as it is."""


class ModuleOptimizer(Protocol):
    """What a module's own optimizer must have: one of `rslcore.optim` or of `torch.optim`."""

    def state_dict(self) -> dict[str, Any]:
        """Its moments."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""


@attrs.define
class RegisteredModule:
    """A module and who steps its parameters.

    Attributes:
        module: The module, on the run's device.
        groups: Its parameters in named groups, each clipped on its own, for the algorithm's optimizer.
        learning_rate: Of those groups; unused where the module has an optimizer of its own.
        optimizer: Stepped by the extension that registered it; None if the algorithm's optimizer does it.
    """

    module: nn.Module
    groups: Mapping[str, list[nn.Parameter]]
    learning_rate: LearningRate
    optimizer: ModuleOptimizer | None


class ModuleTable:
    """The modules of an algorithm and its extensions, by name.

    Args:
        device: Where registered modules are moved.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._table: dict[str, RegisteredModule] = {}

    def register(
        self,
        name: str,
        module: nn.Module,
        *,
        groups: Mapping[str, Iterable[nn.Parameter]] | None = None,
        learning_rate: LearningRate = "adaptive",
        optimizer: ModuleOptimizer | None = None,
    ) -> None:
        """Take a module in.

        Args:
            name: Its name in checkpoints and messages.
            module: The module; moved to the table's device.
            groups: Its parameters in groups; all in one by default. Parameters that need no gradient are left out.
            learning_rate: See `LearningRate`.
            optimizer: The module's own optimizer, if the algorithm's shall not step it.

        Raises:
            ExtensionError: The name is taken; a parameter would be stepped twice, or never.
        """
        if name in self._table:
            raise ExtensionError(f"a module '{name}' is registered already; choose another name")
        module.to(self.device)
        named = groups if groups is not None else {"": module.parameters()}
        trained = {key: [parameter for parameter in group if parameter.requires_grad] for key, group in named.items()}
        trained = {key: group for key, group in trained.items() if group}
        self._check_parameters(name, module, trained)
        self._table[name] = RegisteredModule(module, trained, learning_rate, optimizer)

    def _check_parameters(self, name: str, module: nn.Module, trained: Mapping[str, list[nn.Parameter]]) -> None:
        owners = {
            id(parameter): other
            for other, entry in self._table.items()
            for group in entry.groups.values()
            for parameter in group
        }
        listed_here: set[int] = set()
        for group in trained.values():
            for parameter in group:
                if id(parameter) in owners or id(parameter) in listed_here:
                    owner = owners.get(id(parameter), name)
                    raise ExtensionError(f"module '{name}' has a parameter that '{owner}' trains already")
                listed_here.add(id(parameter))
        forgotten = [key for key, p in module.named_parameters() if p.requires_grad and id(p) not in listed_here]
        if forgotten:
            raise ExtensionError(
                f"no parameter group of module '{name}' has {listed(forgotten)}, which would never be trained"
            )

    def items(self) -> Iterable[tuple[str, RegisteredModule]]:
        """The modules with their names."""
        return self._table.items()

    def __iter__(self) -> Iterator[RegisteredModule]:
        return iter(self._table.values())

    def train(self, mode: bool = True) -> None:
        """Put every module in training mode, or in evaluation mode."""
        for entry in self._table.values():
            entry.module.train(mode)

    def state_dict(self) -> dict[str, Any]:
        """Every module's state, and that of the optimizers that came with one."""
        return {
            name: {
                "module": entry.module.state_dict(),
                "optimizer": None if entry.optimizer is None else entry.optimizer.state_dict(),
            }
            for name, entry in self._table.items()
        }

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError if modules or tensors are missing, left over or of another shape; lists them all."""
        misfits = [f"module '{name}' is not in the checkpoint" for name in self._table if name not in state]
        misfits += [
            f"module '{name}' of the checkpoint is not in this run" for name in state if name not in self._table
        ]
        for name, entry in self._table.items():
            if name in state:
                misfits += find_misfits(name, entry.module.state_dict(), state[name]["module"])
                if (entry.optimizer is None) != (state[name]["optimizer"] is None):
                    where = "in the checkpoint" if entry.optimizer is None else "in this run"
                    misfits.append(f"module '{name}' has an optimizer of its own {where} only")
        if misfits:
            raise CheckpointError("the checkpoint does not fit this config:\n  " + "\n  ".join(misfits))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`; raises CheckpointError as `check_state`, and loads nothing then."""
        self.check_state(state)
        for name, entry in self._table.items():
            entry.module.load_state_dict(state[name]["module"])
            if entry.optimizer is not None:
                entry.optimizer.load_state_dict(state[name]["optimizer"])


def find_misfits(name: str, ours: Mapping[str, Any], saved: Mapping[str, Any]) -> list[str]:
    """One line for each tensor that is missing, left over or of another shape."""
    lines = []
    for key in sorted({*ours, *saved}):
        if key not in saved:
            lines.append(f"{name}.{key} {_shape(ours[key])} is not in the checkpoint")
        elif key not in ours:
            lines.append(f"{name}.{key} {_shape(saved[key])} of the checkpoint has no place here")
        elif _shape(ours[key]) != _shape(saved[key]):
            lines.append(f"{name}.{key} is {_shape(saved[key])} in the checkpoint and {_shape(ours[key])} here")
    return lines


def _shape(value: Any) -> str:
    return str(list(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__
