"""What an algorithm trains: modules, optimizer and extensions, stepped, switched, saved and loaded together.

Legend: B rows of a minibatch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import attrs
import torch
from torch import Tensor, nn

from rslcore.batch import Batch
from rslcore.config import Precision
from rslcore.device import products
from rslcore.distributed import average_gradients_of, copy_from_main, num_ranks, row_weight
from rslcore.extension_list import ExtensionList
from rslcore.micro_batches import can_split, parts_of
from rslcore.modules import ModuleTable
from rslcore.optim import Optimizer

Loss: TypeAlias = Callable[[Batch], tuple[Tensor, Mapping[str, Tensor], Mapping[str, Any]]]
"""Of a minibatch: the loss, a scalar; scalars to be logged by name (`Loss/value`), means over its rows too; and what
extensions may see of the computation."""


@attrs.frozen
class MinibatchNumbers:
    """What tells of a minibatch whether its numbers went wrong, on the device.

    Attributes:
        loss: That was minimized, those of extensions in it.
        norms: Of the gradients of the optimizer's groups.
    """

    loss: Tensor
    norms: Sequence[Tensor]


@attrs.frozen
class _Part:
    """What comes of a part of a minibatch: its share of the loss and of what is logged, and what extensions may see."""

    loss: Tensor
    logged: dict[str, Tensor]
    outputs: Mapping[str, Any]

    def and_another(self, part: _Part) -> _Part:
        """Both parts. What extensions may see is of one alone, and so of none."""
        logged = {name: value + part.logged[name] for name, value in self.logged.items()}
        return _Part(self.loss + part.loss, logged, {})


class Learner:
    """The part of an algorithm that is the same in each.

    With several ranks, all of them begin with the modules of rank 0, and gradients are averaged by torch's
    `DistributedDataParallel` while they are computed, those of extensions' modules too.

    Args:
        modules: All that is trained, that of extensions among it.
        optimizer: Of the modules that have none of their own, from `make_optimizer`.
        extensions: Bound already.
        precision: Of the products of matrices, going forward and back.
        micro_batch_size: Rows of which gradients are made at a time; None for those of a minibatch.

    Attributes:
        minibatches: Numbers of the latest minibatches, at most 1000, until `forget_minibatches`.
        num_minibatches: How many there were until then.
    """

    def __init__(
        self,
        modules: ModuleTable,
        optimizer: Optimizer,
        extensions: ExtensionList,
        precision: Precision = "fp32",
        micro_batch_size: int | None = None,
    ) -> None:
        self.modules = modules
        self.optimizer = optimizer
        self.extensions = extensions
        self.precision = precision
        self.micro_batch_size = micro_batch_size
        self.minibatches: deque[MinibatchNumbers] = deque(maxlen=1000)
        self.num_minibatches = 0
        for entry in modules:
            copy_from_main(value for value in entry.module.state_dict().values() if isinstance(value, Tensor))
        self._loss = average_gradients_of(_Loss(modules))

    def minimize(
        self, loss: Loss, batch: Batch, before_step: Callable[[Mapping[str, Tensor]], None] | None = None
    ) -> dict[str, Tensor]:
        """One optimizer step down the loss and the losses of extensions, with the hooks around it.

        Args:
            loss: Computes the algorithm's own, a mean over the rows of the minibatch; see `Loss`.
            batch: The minibatch. Gradients are made of a part of it at a time where the learner has `micro_batch_size`
                and nothing in the batch or the extensions is about all of its rows.
            before_step: Called with what will be returned, after the gradients are there and before the step.

        Returns:
            What the loss gives to be logged, and the losses of extensions without their weights, `Loss/<name>`; scalars
            on the device, without gradients.
        """
        batch.weight = row_weight(batch.num_original, self.modules.device)
        self.optimizer.zero_grad()
        with products(self.precision):
            parts = map(partial(self._backward, loss, batch.num_original), self._parts(batch))
            done = next(parts)
            for part in parts:
                done = done.and_another(part)
        for after_backward in self.extensions.hooks.after_backward:
            after_backward(batch, done.outputs)
        if before_step is not None:
            before_step(done.logged)
        self.optimizer.step()
        self.minibatches.append(MinibatchNumbers(done.loss, self.optimizer.norms))
        self.num_minibatches += 1
        for after_minibatch in self.extensions.hooks.after_minibatch:
            after_minibatch(batch, done.outputs)
        return done.logged

    def _parts(self, batch: Batch) -> Iterable[Batch]:
        """What gradients are made of at a time."""
        size = self.micro_batch_size
        # The gradients of several ranks are averaged while they are made, which is once a minibatch.
        if size is None or batch.num_original <= size or num_ranks() > 1:
            return [batch]
        return parts_of(batch, size) if self.extensions.are_row_wise and can_split(batch) else [batch]

    def _backward(self, loss: Loss, num_rows: int, part: Batch) -> _Part:
        """Add the gradients of a part of a minibatch of `num_rows` original rows."""
        logged: dict[str, Tensor] = {}
        outputs: Mapping[str, Any] = {}

        def total() -> Tensor:
            nonlocal logged, outputs
            own, of_own, outputs = loss(part)
            taken = {name.removeprefix("Loss/") for name in of_own}
            extras = self.extensions.losses(part, outputs, taken)
            logged = {**of_own, **{f"Loss/{name}": extra for name, (extra, _) in extras.items()}}
            for extra, weight in extras.values():
                own = own + weight * extra
            return own

        weighted = self._loss(total)
        if isinstance(part.weight, Tensor):
            weighted = weighted * part.weight
        share = part.num_original / num_rows
        if share < 1.0:
            weighted, logged = weighted * share, {name: value * share for name, value in logged.items()}
        weighted.backward()
        # Copies: a CUDA graph writes over what it has returned when it is replayed.
        kept = {name: value.detach().clone() for name, value in logged.items()}
        return _Part(weighted.detach().clone(), kept, outputs)

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
