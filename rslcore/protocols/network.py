"""Network: maps observation groups to a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from tensordict import TensorDict
    from torch import Tensor


@runtime_checkable
class Network(Protocol):
    """A `torch.nn.Module` built as `factory(config, context, num_outputs=...)`; it names the groups that it reads."""

    def forward(self, obs: TensorDict) -> Tensor:
        """Observations `[B, ...]` to `[B, num_outputs]`."""

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics, if the network keeps any."""

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget recurrent state for the envs in `dones [N]`, or for all; nothing to do where there is none."""
