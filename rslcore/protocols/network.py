"""Network: maps observation groups to a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensordict import TensorDict
    from torch import Tensor

    from rslcore.recurrence import Sequences, State
    from rslcore.specs import TensorSpec


@runtime_checkable
class Network(Protocol):
    """A `torch.nn.Module` built as `factory(config, context, num_outputs=...)`; it names the groups that it reads.

    Two more attributes are used where a network has them: `output_layer`, the `nn.Linear` that makes the outputs, whose
    first weights a distribution may want to set; and `encoders`, a `nn.ModuleDict` of encoders by observation group,
    which a policy may share between networks.
    """

    def forward(self, obs: TensorDict) -> Tensor:
        """Observations `[B, ...]` to `[B, num_outputs]`."""

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics, if the network keeps any."""


@runtime_checkable
class RecurrentNetwork(Protocol):
    """A network that remembers. It keeps nothing itself: the state is handed in and out, and begins as zeros."""

    def state_specs(self) -> Mapping[str, TensorSpec]:
        """Shape and type of a row of each part of the state; at least one."""

    def forward(self, obs: TensorDict, state: State, sequences: Sequences | None) -> tuple[Tensor, State]:
        """Observations `[B, ...]` to `[B, num_outputs]`, and the state after the last row of each sequence.

        `state` is that before the first row of each sequence, `[S, ...]`. Without `sequences`, each row is a sequence
        of its own, and S is B.
        """

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics, if the network keeps any."""
