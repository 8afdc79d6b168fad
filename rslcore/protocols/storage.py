"""Storage: keeps what was collected and hands it out to learn from.

What every storage has is `Storage`; how it is read depends on how an algorithm learns: `RolloutStorage` holds one
rollout and hands out all of it, `ReplayStorage` keeps what is long past and hands out samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tensordict import TensorDict
    from torch import Tensor

    from rslcore.batch import Batch, ReplayBatch
    from rslcore.config import Shuffle
    from rslcore.recurrence import Sequences
    from rslcore.specs import TensorSpec


@runtime_checkable
class Storage(Protocol):
    """Columns by name, written one step of N envs at a time, and observation groups beside them.

    This is what an extension may rely on, whatever the algorithm. The column `dones`, bool, is always there: it says
    where episodes end.
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


@runtime_checkable
class RolloutStorage(Storage, Protocol):
    """One rollout, columns `[T, N, ...]`: what algorithms learn from that learn from what the latest policy did."""

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


@runtime_checkable
class ReplayStorage(Storage, Protocol):
    """The latest steps of all envs, of many iterations: what off-policy algorithms sample from.

    The columns `rewards`, float32, and `terminated`, bool, are always there too, and with every step the observations
    after it are written. Nothing is ever cleared; the oldest steps are written over.
    """

    def write_next_obs(self, obs: TensorDict) -> None:
        """Copy the true observation groups after the current step, `[N, ...]`: the last ones where an episode ended.

        A row whose true next observation is not known, and which did not end in a terminal state, is no transition:
        see `write_valid`.
        """

    @property
    def capacity(self) -> int:
        """Number of rows that can be held, N for each step."""

    @property
    def num_transitions(self) -> int:
        """Number of rows that are held, N for each complete step, those that are no transitions among them."""

    def sample(self, num_rows: int, num_steps: int, gamma: float) -> ReplayBatch:
        """Windows of up to `num_steps` consecutive transitions of one env, drawn uniformly with replacement.

        A window ends early, with what it has, at the end of an episode, before a row that is no transition, and with
        the latest step. Its `columns` and `obs` are those of its first step.

        Args:
            num_rows: B, number of windows.
            num_steps: Longest window, at least 1.
            gamma: Discount of a step.
        """

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run gets back: all that is held, or nothing, as the storage's options say."""

    def load_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `state_dict`; without `same_episodes`, those that were running were cut off where it ends."""
