"""What an algorithm trains: modules, optimizer and extensions, stepped, switched, saved and loaded together.

Legend: B rows of a minibatch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from rslcore.batch import Batch
from rslcore.distributed import average_gradients_of, copy_from_main, row_weight
from rslcore.extension_list import ExtensionList
from rslcore.modules import ModuleTable
from rslcore.optim import Optimizer


@attrs.frozen
class MinibatchNumbers:
    """What tells of a minibatch whether its numbers went wrong, on the device.

    Attributes:
        loss: That was minimized, those of extensions in it.
        norms: Of the gradients of the optimizer's groups.
    """

    loss: Tensor
    norms: Sequence[Tensor]


class Learner:
    """The part of an algorithm that is the same in each.

    With several ranks, all of them begin with the modules of rank 0, and gradients are averaged by torch's
    `DistributedDataParallel` while they are computed, those of extensions' modules too.

    Args:
        modules: All that is trained, that of extensions among it.
        optimizer: Of the modules that have none of their own, from `make_optimizer`.
        extensions: Bound already.

    Attributes:
        minibatches: Numbers of the latest minibatches, at most 1000, until `forget_minibatches`.
        num_minibatches: How many there were until then.
    """

    def __init__(self, modules: ModuleTable, optimizer: Optimizer, extensions: ExtensionList) -> None:
        self.modules = modules
        self.optimizer = optimizer
        self.extensions = extensions
        self.minibatches: deque[MinibatchNumbers] = deque(maxlen=1000)
        self.num_minibatches = 0
        for entry in modules:
            copy_from_main(value for value in entry.module.state_dict().values() if isinstance(value, Tensor))
        self._loss = average_gradients_of(_Loss(modules))

    def minimize(
        self,
        loss: Callable[[Batch], tuple[Tensor, Mapping[str, Any]]],
        batch: Batch,
        own_losses: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """One optimizer step down the loss and the losses of extensions, with the hooks around it.

        Args:
            loss: Computes the algorithm's own, a scalar that is a mean over the rows of the minibatch; and what
                extensions may see of the computation.
            batch: The minibatch.
            own_losses: Names that the algorithm logs as `Loss/<name>`, which those of extensions shall not take.

        Returns:
            The losses of extensions without their weights, `Loss/<name>`, on the device.
        """
        outputs: Mapping[str, Any] = {}
        extras: Mapping[str, tuple[Tensor, float]] = {}

        def total() -> Tensor:
            nonlocal outputs, extras
            own, outputs = loss(batch)
            extras = self.extensions.losses(batch, outputs, own_losses)
            for extra, weight in extras.values():
                own = own + weight * extra
            return own

        batch.weight = row_weight(batch.num_original, self.modules.device)
        weighted = self._loss(total) * batch.weight
        self.optimizer.zero_grad()
        weighted.backward()
        for after_backward in self.extensions.hooks.after_backward:
            after_backward(batch, outputs)
        self.optimizer.step()
        self.minibatches.append(MinibatchNumbers(weighted.detach(), self.optimizer.norms))
        self.num_minibatches += 1
        for after_minibatch in self.extensions.hooks.after_minibatch:
            after_minibatch(batch, outputs)
        return {f"Loss/{name}": extra for name, (extra, _) in extras.items()}

    def forget_minibatches(self) -> None:
        """Count the minibatches anew, once someone has looked at their numbers."""
        self.minibatches.clear()
        self.num_minibatches = 0

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


class _Loss(nn.Module):
    """Every parameter that is trained, in one module whose forward computes a loss: what torch wraps.

    It has no buffers, which torch would copy from rank 0: those of normalizers are merged by themselves.
    """

    def __init__(self, modules: ModuleTable) -> None:
        super().__init__()
        groups = (group for entry in modules for group in entry.groups.values())
        self.trained = nn.ParameterList(parameter for group in groups for parameter in group)
        # Where all parameters take part in a loss, torch warns that it has looked for others in vain. One never does.
        self.never = nn.Parameter(torch.zeros(1, device=modules.device))

    def forward(self, compute: Callable[[], Tensor]) -> Tensor:
        """The loss."""
        return compute()
