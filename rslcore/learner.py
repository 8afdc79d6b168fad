"""What an algorithm trains: modules, optimizer and extensions, stepped, switched, saved and loaded together.

Legend: B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from rslcore.batch import Batch
from rslcore.extension_list import ExtensionList
from rslcore.modules import ModuleTable
from rslcore.optim import Optimizer


class Learner:
    """The part of an algorithm that is the same in each.

    Args:
        modules: All that is trained, that of extensions among it.
        optimizer: Of the modules that have none of their own, from `make_optimizer`.
        extensions: Bound already.
    """

    def __init__(self, modules: ModuleTable, optimizer: Optimizer, extensions: ExtensionList) -> None:
        self.modules = modules
        self.optimizer = optimizer
        self.extensions = extensions

    def minimize(
        self, loss: Tensor, batch: Batch, outputs: Mapping[str, Any], own_losses: Collection[str] = ()
    ) -> dict[str, Tensor]:
        """One optimizer step down the loss and the losses of extensions, with the hooks around it.

        Args:
            loss: The algorithm's own, a scalar.
            batch: The minibatch that it was computed for.
            outputs: What extensions may see of the computation.
            own_losses: Names that the algorithm logs as `Loss/<name>`, which those of extensions shall not take.

        Returns:
            The losses of extensions without their weights, `Loss/<name>`, on the device.
        """
        extras = self.extensions.losses(batch, outputs, own_losses)
        for extra, weight in extras.values():
            loss = loss + weight * extra
        self.optimizer.zero_grad()
        loss.backward()
        for after_backward in self.extensions.hooks.after_backward:
            after_backward(batch, outputs)
        self.optimizer.step()
        for after_minibatch in self.extensions.hooks.after_minibatch:
            after_minibatch(batch, outputs)
        return {f"Loss/{name}": extra for name, (extra, _) in extras.items()}

    def train(self, mode: bool) -> None:
        """Put all modules, and the extensions themselves, in training mode, or in evaluation mode."""
        self.modules.train(mode)
        self.extensions.train_mode(mode)

    def state_dict(self) -> dict[str, Any]:
        """The state of modules, optimizer and extensions."""
        return {
            "modules": self.modules.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "extensions": self.extensions.state_dict(),
        }

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError if modules, optimizer or extensions do not fit a state."""
        self.extensions.check_state(state["extensions"])
        self.modules.check_state(state["modules"])
        self.optimizer.check_state(state["optimizer"])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`; raises as `check_state`, and loads nothing then."""
        self.check_state(state)
        self.modules.load_state_dict(state["modules"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.extensions.load_state_dict(state["extensions"])
