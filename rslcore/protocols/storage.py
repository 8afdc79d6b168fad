"""Storage: keeps what was collected and hands it out in minibatches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tensordict import TensorDict
    from torch import Tensor

    from rslcore.batch import Batch
    from rslcore.config import Shuffle
    from rslcore.recurrence import Sequences
    from rslcore.specs import TensorSpec


@runtime_checkable
class Storage(Protocol):
    """Columns `[T, N, ...]` by name, written one step at a time, and observation groups beside them.

    The column `dones`, bool, is always there: it says where sequences end.
    """

    def add_fields(self, fields: Mapping[str, TensorSpec]) -> None:
        """Declare columns; before the first write. Raises ExtensionError for a name that is declared already."""

    def write(self, name: str, rows: Tensor) -> None:
        """Copy `rows [N, ...]` into the current step of a column; raises ExtensionError for another name or shape."""

    def write_obs(self, obs: TensorDict) -> None:
        """Copy the observation groups `[N, ...]` into the current step; raises ExtensionError if one does not fit."""

    def write_valid(self, valid: Tensor) -> None:
        """Say which rows of the current step are transitions, `[N]`, bool; without it all are."""

    def advance(self) -> None:
        """The current step is complete."""

    def column(self, name: str) -> Tensor:
        """A column `[T, N, ...]`, to be read and, for derived columns, written."""

    def observations(self) -> TensorDict:
        """The observation groups of all steps, `[T * N, ...]`."""

    def valid_observations(self) -> TensorDict:
        """Those of valid transitions, `[B, ...]`."""

    @property
    def valid(self) -> Tensor | None:
        """Which rows are transitions, `[T, N]`, bool; None if all are."""

    def sequences(self) -> tuple[Tensor, Sequences]:
        """Rows of `observations()` in packed order, `[B]`, and the sequences that they are."""

    def mini_batches(
        self, num_mini_batches: int, num_epochs: int, *, shuffle: Shuffle = "rollout", sequential: bool = False
    ) -> Iterator[Batch]:
        """Minibatches of all valid transitions; whole rollouts of some envs, as sequences, if `sequential`."""

    def windows(self, num_steps: int, *, sequential: bool = False) -> Iterator[Batch]:
        """Batches of `num_steps` consecutive steps of all envs, in their order; the last one may be shorter."""

    def clear(self) -> None:
        """Begin a new rollout."""
