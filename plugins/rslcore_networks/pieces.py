"""Whole sequences through torch's recurrent modules on a CPU.

There, torch makes an LSTM by oneDNN if all sequences are equally long, and by a loop that is half as fast if they are
packed, whose gradients take longer still; of what is padded, the zeros cost as much as rows do. So the sequences are
cut in time, into pieces that are each given to the module as a whole and hand their states on. As sequences end, the
later pieces have fewer of them, and little is left to pad; pieces of sequences that all end together, or go on, need no
padding and so give the states at the ends as well. Large ones are run by `rslcore_networks.loop` instead.
docs/performance.md has the figures.

Legend: B rows, S sequences, L steps of the longest, F features, H width of the memory.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from rslcore.recurrence import Sequences
from rslcore_networks.loop import can_loop, run_loop

MIN_CUT = 2**26
"""Products of a padded number and a weight from which on padding costs more than another piece does."""
MIN_STEP = 2**22
"""The same of rows, on the average of all steps, from which on a call a step is faster than packed sequences."""
MIN_STATE = 2**15
"""Numbers in the state of an LSTM, on the average of all steps, from which on a loop is faster than oneDNN's own, where
it has three quarters as many rows as it is wide, and"""
MAX_WIDTH = 512
"""its weights stay in the cache from step to step."""

Hidden = tuple[Tensor, ...]
"""Parts of a state, `[num_layers, S, H]` each."""


def run_sequences(module: nn.LSTM | nn.GRU, rows: Tensor, state: Hidden, sequences: Sequences) -> tuple[Tensor, Hidden]:
    """Run a recurrent module on sequences.

    Args:
        module: On a CPU.
        rows: `[B, F]`.
        state: Before the sequences.
        sequences: How the rows follow one another.

    Returns:
        Outputs of the module, `[B, H]`; the state after the last row of each sequence, and any if `needs_ends` does not
        hold. Whether a gradient goes back through that state is left open.
    """
    num_weights = sum(parameter.numel() for parameter in module.parameters())
    max_padded = MIN_CUT // num_weights
    rows_per_step = len(rows) / len(sequences.sizes)
    is_large = rows_per_step * num_weights >= MIN_STEP and not torch.is_autocast_enabled("cpu")
    if is_large and can_loop(rows) and _is_faster_as_loop(module, rows_per_step):
        looped: tuple[Tensor, Hidden] = run_loop(module, rows, state, sequences)
        return looped
    if not sequences.needs_ends:
        return _run_pieces(module, rows, state, sequences, _cuts(sequences, max_padded))
    if is_large and isinstance(module, nn.LSTM):
        return _run_pieces(module, rows, state, sequences, _cuts(sequences, 0))
    if not torch.is_grad_enabled():
        packed, ends = module(sequences.pack(rows), _joined(state))
        return sequences.unpack(packed), _parts(ends)
    outputs, _ = _run_pieces(module, rows, state, sequences, _cuts(sequences, max_padded))
    # In full precision: of LSTMs, not every CPU makes another one without gradients.
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        _, ends = module(sequences.pack(rows), _joined(state))
    return outputs, _parts(ends)


def _is_faster_as_loop(module: nn.LSTM | nn.GRU, rows_per_step: float) -> bool:
    """Whether a large module is; a GRU always, since oneDNN has none."""
    width = module.hidden_size
    return isinstance(module, nn.GRU) or (
        rows_per_step * width >= MIN_STATE and width <= min(rows_per_step / 0.75, MAX_WIDTH)
    )


def _cuts(sequences: Sequences, max_padded: int) -> list[int]:
    """Steps with which pieces begin, of which none has more rows of padding than `max_padded`; and L at the end."""
    sizes = list(sequences.sizes)
    cuts, padded = [0], 0
    for step, size in enumerate(sizes):
        padded += sizes[cuts[-1]] - size
        if padded > max_padded:
            cuts.append(step)
            padded = 0
    return [*cuts, len(sizes)]


def _run_pieces(
    module: nn.LSTM | nn.GRU, rows: Tensor, state: Hidden, sequences: Sequences, cuts: list[int]
) -> tuple[Tensor, Hidden]:
    """Run a module piece by piece; the states at the ends are right where no piece is padded."""
    rows = rows if sequences.order is None else rows.index_select(0, sequences.order)
    sizes = list(sequences.sizes)
    offsets = [0, *itertools.accumulate(sizes)]
    outputs: list[Tensor] = []
    ends: list[Hidden] = []  # of the sequences that end with each piece
    for begin, end in itertools.pairwise(cuts):
        first, last, count = offsets[begin], offsets[end], sizes[begin]
        if begin:
            ends.append(tuple(part[:, count:] for part in state))
            state = tuple(part[:, :count].contiguous() for part in state)
        piece = rows[first:last]
        if sizes[end - 1] == count:
            out, after = module(piece.view(end - begin, count, -1), _joined(state))
            outputs.append(out.flatten(0, 1))
        else:
            places = (sequences.steps[first:last] - begin) * count + sequences.of_rows[first:last]
            padded = piece.new_zeros((end - begin) * count, piece.shape[1]).index_copy(0, places, piece)
            out, after = module(padded.view(end - begin, count, -1), _joined(state))
            outputs.append(out.flatten(0, 1).index_select(0, places))
        state = _parts(after)
    ends.append(state)
    joined = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
    if sequences.order is not None:
        joined = torch.empty_like(joined).index_copy(0, sequences.order, joined)
    if len(ends) > 1:
        state = tuple(torch.cat(parts, 1) for parts in zip(*reversed(ends), strict=True))
    return joined, state


def _joined(parts: Hidden) -> Tensor | Hidden:
    """As torch wants it: a tuple where there are several parts."""
    return parts if len(parts) > 1 else parts[0]


def _parts(state: Tensor | Hidden) -> Hidden:
    return state if isinstance(state, tuple) else (state,)
