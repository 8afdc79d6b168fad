"""Memory of recurrent networks: states that are handed in and out, and how rows of a batch follow one another.

A network keeps no state of its own. Whoever runs it holds the state, `{name: [S, ...]}`, which begins as zeros; that of
a feed-forward network is empty. A batch of whole sequences stays flat, `[B, ...]`, so that losses and extensions need
not know that it consists of sequences: only recurrent networks look at its `Sequences`.

Legend: N envs, T steps of a rollout, S sequences, B rows of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rslcore.specs import TensorSpec

if TYPE_CHECKING:
    from tensordict import TensorDict

    from rslcore.protocols import Network, Policy, RecurrentNetwork

State = Mapping[str, Tensor]
"""What a network remembers, `{name: [S, ...]}`; empty for a feed-forward network."""


def state_specs(network: Network | RecurrentNetwork) -> Mapping[str, TensorSpec]:
    """Shape and type of a row of each part of a network's state; empty for a feed-forward network."""
    specs: Mapping[str, TensorSpec] = network.state_specs() if hasattr(network, "state_specs") else {}
    return specs


def run_network(
    network: Network | RecurrentNetwork, obs: TensorDict, state: State, sequences: Sequences | None
) -> tuple[Tensor, State]:
    """Run a network, recurrent or not.

    Args:
        network: To be run.
        obs: Observations `[B, ...]`.
        state: Before the first row of each sequence, `[S, ...]`.
        sequences: How the rows follow one another; None if each is a sequence of its own.

    Returns:
        Outputs `[B, num_outputs]`, and the state after the last row of each sequence.
    """
    if not state:
        return network(obs), state  # type: ignore[operator]
    outputs, state = network(obs, state, sequences)  # type: ignore[operator]
    return outputs, state


def zero_state(specs: Mapping[str, TensorSpec], num_rows: int, device: torch.device) -> State:
    """The state of `num_rows` sequences that have not begun."""
    return {
        name: torch.zeros(num_rows, *spec.shape, dtype=getattr(torch, spec.dtype), device=device)
        for name, spec in specs.items()
    }


def zero_states(specs: Mapping[str, Mapping[str, TensorSpec]], num_rows: int, device: torch.device) -> dict[str, State]:
    """The same for several networks by name."""
    return {network: zero_state(inner, num_rows, device) for network, inner in specs.items()}


def forget(state: State, ended: Tensor) -> State:
    """The state with zeros in the rows where `ended [S]`, bool."""
    return {name: part.masked_fill(ended.view(-1, *(1,) * (part.dim() - 1)), 0) for name, part in state.items()}


def detach(state: State) -> State:
    """The state, cut off from the graph that computed it."""
    return {name: part.detach() for name, part in state.items()}


class InferenceMemory:
    """Lets a policy act on its own, and remembers for it.

    Args:
        policy: Acts deterministically.
        device: Where its states are.
    """

    def __init__(self, policy: Policy, device: torch.device) -> None:
        self._policy = policy
        self._device = device
        self._states: Mapping[str, State] = {}
        self._num_rows = 0

    @torch.no_grad()
    def act(self, obs: TensorDict) -> Tensor:
        """The best actions `[N, A]` for observations `[N, ...]`; another N than before begins anew."""
        if len(obs) != self._num_rows:
            self._num_rows = len(obs)
            self._states = zero_states(self._policy.state_specs(), len(obs), self._device)
        actions, self._states = self._policy.act_inference(obs, self._states)
        return actions

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget the episodes of the envs in `dones [N]`, bool, or all."""
        if dones is None:
            self._num_rows = 0
        else:
            self._states = {name: forget(state, dones.to(self._device)) for name, state in self._states.items()}

    def state_dict(self) -> dict[str, Any]:
        """What is remembered."""
        return {"num_rows": self._num_rows, "states": self._states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._num_rows, self._states = state["num_rows"], on_device(state["states"], self._device)


def on_device(states: Mapping[str, State], device: torch.device) -> dict[str, State]:
    """The states of several networks by name, on a device."""
    return {network: {name: part.to(device) for name, part in state.items()} for network, state in states.items()}


@attrs.frozen
class Sequences:
    """Which rows of a flat batch `[B, ...]` follow one another: S sequences, longest first.

    In packed order, which is also torch's, the first rows of all sequences come first, then the second rows of all that
    have one, and so on.

    Attributes:
        sizes: Number of sequences that have an l-th row, of L numbers.
        envs: The env of each sequence, `[S]`.
        continues: Whether a sequence begins with the first step, and so with the state that its env had then, `[S]`.
        goes_on: Whether the episode of a sequence goes on after the last step, `[S]`.
        of_rows: The sequence of each row in packed order, `[B]`.
        steps: How many rows of its sequence come before each row in packed order, `[B]`.
        order: Rows of the batch in packed order, `[B]`; None where the batch is in that order itself.
        copies: How often the sequences of the rollout are there; see `tile`.
        needs_ends: Whether the states after the sequences are asked for; if not, a network may return any.
    """

    sizes: tuple[int, ...]
    envs: Tensor
    continues: Tensor
    goes_on: Tensor
    of_rows: Tensor
    steps: Tensor
    order: Tensor | None = None
    copies: int = 1
    needs_ends: bool = True

    @property
    def batch_sizes(self) -> Tensor:
        """The sizes as `PackedSequence` wants them, `[L]`, int64, on the host."""
        return torch.tensor(self.sizes, dtype=torch.int64)

    def first_states(self, states: State) -> State:
        """States `[S, ...]` before the sequences, from those of all envs before the first step, `[N, ...]`."""
        return forget({name: part.index_select(0, self.envs) for name, part in states.items()}, ~self.continues)

    def last_states(self, states: State, num_envs: int) -> State:
        """States of all envs after the last step, `[N, ...]`, from those after the sequences, `[S, ...]`.

        Zeros where an episode has ended. On a GPU this waits for the device, once.
        """
        going_on = self.goes_on[:: self.copies].nonzero().squeeze(1)
        envs = self.envs[:: self.copies].index_select(0, going_on)
        ends = {name: part[:: self.copies].index_select(0, going_on) for name, part in states.items()}
        return {name: end.new_zeros(num_envs, *end.shape[1:]).index_copy(0, envs, end) for name, end in ends.items()}

    def pack(self, rows: Tensor) -> PackedSequence:
        """Rows `[B, ...]` as torch's recurrent modules take them."""
        return PackedSequence(rows if self.order is None else rows.index_select(0, self.order), self.batch_sizes)

    def unpack(self, packed: PackedSequence) -> Tensor:
        """The inverse of `pack`."""
        if self.order is None:
            return packed.data
        return torch.empty_like(packed.data).index_copy(0, self.order, packed.data)

    def tile(self, count: int) -> Sequences:
        """The sequences of a batch that is repeated `count` times, `[count * B, ...]`.

        Sequence s of copy c is number `s * count + c`; `interleave` puts states in that order.
        """
        num_rows = len(self.of_rows)
        order = torch.arange(num_rows, device=self.of_rows.device) if self.order is None else self.order
        copies = torch.arange(count, device=order.device)
        return Sequences(
            sizes=tuple(size * count for size in self.sizes),
            envs=self.envs.repeat_interleave(count),
            continues=self.continues.repeat_interleave(count),
            goes_on=self.goes_on.repeat_interleave(count),
            of_rows=(self.of_rows.unsqueeze(1) * count + copies).flatten(),
            steps=self.steps.repeat_interleave(count),
            order=(order.unsqueeze(1) + copies * num_rows).flatten(),
            copies=self.copies * count,
            needs_ends=self.needs_ends,
        )


def interleave(states: list[State]) -> State:
    """States of the copies that `Sequences.tile` made, each `[S, ...]`, as one `[S * len(states), ...]`."""
    return {name: torch.stack([state[name] for state in states], 1).flatten(0, 1) for name in states[0]}


def split_sequences(
    dones: numpy.ndarray[Any, Any],
    valid: numpy.ndarray[Any, Any] | None,
    device: torch.device,
    steps: slice = slice(None),
    envs: numpy.ndarray[Any, Any] | None = None,
) -> tuple[Tensor, Sequences]:
    """Split a rollout into sequences at the ends of episodes.

    Args:
        dones: Whether an episode ended with the step, `[T, N]`, bool, on the host.
        valid: Which steps are transitions, `[T, N]`, bool, on the host; None for all. Others are left out, and what
            follows them is a new episode.
        device: Where the results go.
        steps: The steps that are taken; all by default.
        envs: The envs that are taken; all by default.

    Returns:
        Rows `t * N + n` of the rollout in packed order, `[B]`, and the sequences.
    """
    first_step = steps.start or 0
    chosen = numpy.arange(dones.shape[1]) if envs is None else envs
    ends = dones[steps][:, chosen]
    num_steps, num_envs = ends.shape
    starts = numpy.ones((num_steps, num_envs), dtype=numpy.bool_)
    starts[1:] = ends[:-1]
    if valid is not None:
        invalid = ~valid[steps][:, chosen]
        starts |= invalid
        starts[1:] |= invalid[:-1]
    env, first = numpy.nonzero(starts.T)
    # Env by env, the sequences tile the steps without a gap.
    length = numpy.diff(numpy.append(env * num_steps + first, num_envs * num_steps))
    if valid is not None:
        kept = ~invalid[first, env]
        env, first, length = env[kept], first[kept], length[kept]
    longest_first = numpy.argsort(-length, kind="stable")
    env, first, length = env[longest_first], first[longest_first], length[longest_first]

    exists = numpy.arange(length.max(initial=0))[:, None] < length
    offset, sequence = numpy.nonzero(exists)

    def put(array: numpy.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    rows = (first_step + first[sequence] + offset) * dones.shape[1] + chosen[env[sequence]]
    sequences = Sequences(
        sizes=tuple(exists.sum(1).tolist()),
        envs=put(chosen[env]),
        continues=put(first == 0),
        goes_on=put((first + length == num_steps) & ~ends[-1, env]),
        of_rows=put(sequence),
        steps=put(offset),
    )
    return put(rows), sequences
