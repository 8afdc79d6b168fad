"""Recurrent layers as loops over their steps, by oneDNN's products on a CPU.

In packed order the rows of a step are those of the first sequences, never more than in the step before: so each step
works on the first of the states. torch's own loops make their products by MKL (see `rslcore.linear`); its LSTM by
oneDNN wants sequences of equal length, and takes a fourth longer than this. docs/performance.md has the figures.

oneDNN prepares, and keeps, a routine for every number of rows that it meets, and each minibatch has others. So a step
has room for a multiple of `ROOM` rows. Those that no sequence fills are computed, and go nowhere.

Legend: B rows, S sequences, I inputs, H width of the memory.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from rslcore.linear import IS_AVAILABLE
from rslcore.recurrence import Sequences
from rslcore_networks.gru import GruLayer
from rslcore_networks.lstm import LstmLayer
from rslcore_networks.steps import Steps

ROOM = 16


def can_loop(rows: Tensor) -> bool:
    """Whether oneDNN can: in single precision, without autocast."""
    return IS_AVAILABLE and rows.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


@torch.compiler.disable  # type: ignore[untyped-decorator]
def run_loop(
    module: nn.LSTM | nn.GRU, rows: Tensor, state: tuple[Tensor, ...], sequences: Sequences
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What a module gives for sequences.

    Args:
        module: In single precision, on a CPU.
        rows: `[B, I]`.
        state: Its parts before each sequence, `[num_layers, S, H]`.
        sequences: How the rows follow one another.

    Returns:
        Outputs `[B, H]`, and the state after the last row of each sequence.
    """
    steps = Steps(list(sequences.sizes), [-(-size // ROOM) * ROOM for size in sequences.sizes])
    offsets = torch.tensor([0, *itertools.accumulate(steps.rooms)])
    places = offsets[sequences.steps] + sequences.of_rows
    if sequences.order is not None:
        places = torch.empty_like(places).index_copy_(0, sequences.order, places)
    rows = rows.new_zeros(sum(steps.rooms), rows.shape[1]).index_copy(0, places, rows)
    missing = steps.rooms[0] - steps.sizes[0]
    state = tuple(functional.pad(part, (0, 0, 0, missing)) for part in state)
    layer: type[torch.autograd.Function] = LstmLayer if isinstance(module, nn.LSTM) else GruLayer
    keeps = torch.is_grad_enabled()
    ends = []
    for weights, *parts in zip(module.all_weights, *state, strict=True):
        rows, *end = layer.apply(rows, *parts, *weights, steps, keeps)
        ends.append(end)
    return rows.index_select(0, places), tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
