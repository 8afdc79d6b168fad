"""A layer of an LSTM as a loop over its steps; see `rslcore_networks.loop`.

With sigma the logistic function, x the inputs, h the hidden state and c the cell, and the gates in torch's order
(Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000):

    i, f, o = sigma(W x + U h + b)      g = tanh(W x + U h + b)      c' = f c + i g      h' = o tanh(c')

Since tanh(a) = 2 sigma(2 a) - 1, and torch's tanh takes several times as long as its sigmoid, all four gates are one
sigmoid, with the weights of g doubled. That is right to 1e-7, also where the tanh is small.

Legend: B rows that are computed, R of them in the first step, S sequences, I inputs, H width of the memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rslcore_networks.steps import Steps, product

aten = torch.ops.aten

BLOCK = 1024
"""Rows for which the gradients of the gates are kept at a time, to make those of the weights from them."""


class LstmLayer(torch.autograd.Function):
    """One layer."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        hidden: Tensor,
        cell: Tensor,
        of_inputs: Tensor,
        of_hidden: Tensor,
        bias: Tensor,
        hidden_bias: Tensor,
        steps: Steps,
        keeps: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs `[B, H]`, and hidden state and cell at the ends, `[S, H]`; keeps what gradients need.

        Args:
            ctx: Keeps it.
            rows: `[B, I]`.
            hidden: The hidden state before the sequences, `[R, H]`.
            cell: The cell likewise.
            of_inputs: W, `[4 H, I]`.
            of_hidden: U, `[4 H, H]`.
            bias: A part of b, `[4 H]`.
            hidden_bias: The other.
            steps: Divides the rows.
            keeps: Whether there will be gradients.
        """
        first, outputs = hidden, rows.new_empty(len(rows), hidden.shape[1])
        weight, recurrent, constant = map(_doubled, (of_inputs, of_hidden, bias + hidden_bias))
        hidden_ends, cell_ends = rows.new_empty(2, steps.sizes[0], hidden.shape[1])
        kept = []
        for step, (inputs, output) in enumerate(zip(rows.split(steps.rooms), outputs.split(steps.rooms), strict=True)):
            hidden, cell = hidden[: len(inputs)], cell[: len(inputs)]
            gates = product(inputs, weight, constant).add_(product(hidden, recurrent)).sigmoid_()
            taken, forgotten, new, shown = gates.chunk(4, 1)
            new.mul_(2.0).sub_(1.0)
            after = torch.mul(cell, forgotten).addcmul_(taken, new)
            squashed = torch.mul(after, 2.0).sigmoid_().mul_(2.0).sub_(1.0)
            torch.mul(shown, squashed, out=output)
            if keeps:
                kept += [gates, cell, squashed]
            hidden, cell = output, after
            ending = steps.ending(step)
            hidden_ends[ending], cell_ends[ending] = hidden[ending], cell[ending]
        ctx.steps = steps
        ctx.save_for_backward(rows, first, outputs, of_inputs, of_hidden, *kept)
        return outputs, hidden_ends, cell_ends

    @staticmethod
    def backward(
        ctx: Any, of_outputs: Tensor, of_hidden_ends: Tensor, of_cell_ends: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of rows, state, weights and biases."""
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "an LSTM's gradient has no gradient on a CPU where its products are large; take more minibatches"
            )
        rows, first, outputs, weight, recurrent, *kept = ctx.saved_tensors
        steps, width = ctx.steps, outputs.shape[1]
        of_output = of_outputs.split(steps.rooms)
        before = steps.before(first, outputs)
        of_state, of_cell = outputs.new_zeros(2, *first.shape)
        of_rows = torch.empty_like(rows) if ctx.needs_input_grad[0] else None
        of_weight, of_recurrent, of_bias = (torch.zeros_like(part) for part in (weight, recurrent, weight[:, 0]))
        end = len(steps.rooms)
        for begin in _blocks(steps.rooms):
            block = slice(sum(steps.rooms[:begin]), sum(steps.rooms[:end]))
            arguments = rows.new_empty(block.stop - block.start, 4 * width)  # their gradients
            of_arguments = arguments.split(steps.rooms[begin:end])
            for step in reversed(range(begin, end)):
                gates, cell, squashed = kept[3 * step : 3 * step + 3]
                taken, forgotten, new, shown = gates.chunk(4, 1)
                argument = of_arguments[step - begin]
                of_taken, of_forgotten, of_new, of_shown = argument.chunk(4, 1)
                ending = steps.ending(step)
                of_state[ending] += of_hidden_ends[ending]
                of_cell[ending] += of_cell_ends[ending]
                gradient, of_after = of_state[: len(gates)], of_cell[: len(gates)]
                gradient += of_output[step]
                torch.mul(gradient, squashed, out=of_shown)
                of_squashed = gradient * shown
                of_after += aten.tanh_backward.grad_input(of_squashed, squashed, grad_input=of_squashed)
                torch.mul(of_after, new, out=of_taken)
                torch.mul(of_after, cell, out=of_forgotten)
                torch.mul(of_after, taken, out=of_new)
                both, of_both = gates[:, : 2 * width], argument[:, : 2 * width]
                aten.sigmoid_backward.grad_input(of_both, both, grad_input=of_both)
                aten.tanh_backward.grad_input(of_new, new, grad_input=of_new)
                aten.sigmoid_backward.grad_input(of_shown, shown, grad_input=of_shown)
                of_after.mul_(forgotten)
                gradient.copy_(product(argument, recurrent.t()))
            of_weight += torch.ops.rslcore.weight_gradient(arguments, rows[block])
            of_recurrent += torch.ops.rslcore.weight_gradient(arguments, torch.cat(before[begin:end]))
            of_bias += arguments.sum(0)
            if of_rows is not None:
                of_rows[block] = product(arguments, weight.t())
            end = begin
        return of_rows, of_state, of_cell, of_weight, of_recurrent, of_bias, of_bias, None, None


def _doubled(weight: Tensor) -> Tensor:
    """A copy of `[4 H, ...]` with the share of g doubled."""
    weight = weight.clone()
    weight.chunk(4)[2].mul_(2.0)
    return weight


def _blocks(rooms: list[int]) -> list[int]:
    """Steps with which blocks of at most `BLOCK` rows, or of one step, begin; the last one first."""
    begins, num_rows = [], 0
    for step in reversed(range(len(rooms))):
        num_rows += rooms[step]
        if step == 0 or num_rows + rooms[step - 1] > BLOCK:
            begins.append(step)
            num_rows = 0
    return begins
