"""A GRU as a loop over its steps, by oneDNN's products on a CPU.

torch's own loop there makes its products by MKL (see `rslcore.linear`), and those of the padding too. In packed order
the rows of a step are those of the first sequences, never more than in the step before: so the states of all sequences
are kept, and each step works on the first of them. What stays there at last are the states at the ends.

With sigma the logistic function, x the inputs and h the state, and the gates in torch's order (Cho et al. 2014):

    r, z = sigma(W x + b + U h + c)        n = tanh(W x + b + r (U h + c))        h' = n + z (h - n)

The gradients of the weights are made for all steps at once, at the end.

Legend: B rows, S sequences, I inputs, H width of the memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rslcore.linear import IS_AVAILABLE


def can_run_gru(rows: Tensor) -> bool:
    """Whether oneDNN can: in single precision."""
    return IS_AVAILABLE and rows.dtype == torch.float32


@torch.compiler.disable  # type: ignore[untyped-decorator]
def run_gru(module: nn.GRU, rows: Tensor, state: Tensor, batch_sizes: list[int]) -> tuple[Tensor, Tensor]:
    """What the module gives for sequences in packed order.

    Args:
        module: In single precision, on a CPU.
        rows: `[B, I]`.
        state: Before each sequence, `[num_layers, S, H]`.
        batch_sizes: Number of sequences that have a row, step by step.

    Returns:
        Outputs `[B, H]`, and the state after the last row of each sequence.
    """
    ends = []
    for weights, hidden in zip(module.all_weights, state, strict=True):
        keeps = torch.is_grad_enabled()
        rows, end = _Layer.apply(rows.contiguous(), hidden, *weights, batch_sizes, keeps)  # type: ignore[no-untyped-call]
        ends.append(end)
    return rows, torch.stack(ends)


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product: Tensor = torch.ops.rslcore.linear(rows, weight, bias, "none")
    return product


class _Layer(torch.autograd.Function):
    """One layer."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        first: Tensor,
        of_inputs: Tensor,
        of_hidden: Tensor,
        bias: Tensor,
        hidden_bias: Tensor,
        batch_sizes: list[int],
        keeps: bool,
    ) -> tuple[Tensor, Tensor]:
        """Outputs `[B, H]` and the state at the ends `[S, H]`; keeps what gradients need."""
        width = first.shape[1]
        outputs = rows.new_empty(len(rows), width)
        before = torch.empty_like(outputs) if keeps else rows.new_empty(0)
        hidden = first.clone()
        kept = []
        end = 0
        for size in batch_sizes:
            here = slice(end, end + size)
            end += size
            last, output = hidden[:size], outputs[here]
            if keeps:
                before[here] = last
            argument = _product(rows[here], of_inputs, bias)
            other = _product(last, of_hidden, hidden_bias)
            gates = (argument[:, : 2 * width] + other[:, : 2 * width]).sigmoid_()
            reset, update = gates.chunk(2, 1)
            memory = other[:, 2 * width :].contiguous()
            # tanh(a) = 2 sigma(2 a) - 1, since torch's tanh takes several times as long.
            new = torch.addcmul(argument[:, 2 * width :], reset, memory).mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)
            torch.lerp(new, last, update, out=output)
            hidden[:size] = output
            if keeps:
                kept += [gates, memory, new]
        ctx.batch_sizes = batch_sizes
        ctx.save_for_backward(rows, before, of_inputs, of_hidden, *kept)
        return outputs, hidden

    @staticmethod
    def backward(ctx: Any, of_outputs: Tensor, of_ends: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of rows, state, weights and biases."""
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "a GRU's gradient has no gradient on a CPU where its products are large; take more minibatches"
            )
        rows, before, of_inputs, of_hidden, *kept = ctx.saved_tensors
        width = before.shape[1]
        of_state = of_ends.clone()
        arguments, others = before.new_empty(2, len(rows), 3 * width)  # their gradients
        sizes = ctx.batch_sizes
        split = [tensor.split(sizes) for tensor in (of_outputs, before, arguments, others)]
        back = of_hidden.t()
        for step in reversed(range(len(sizes))):
            of_output, last, argument, other = (parts[step] for parts in split)
            gates, memory, new = kept[3 * step : 3 * step + 3]
            reset, update = gates.chunk(2, 1)
            of_reset, of_update, of_new = argument.chunk(3, 1)
            gradient = of_state[: sizes[step]]
            gradient += of_output
            torch.mul(gradient, last - new, out=of_update)
            of_tanh = torch.addcmul(gradient, gradient, update, value=-1)
            torch.ops.aten.tanh_backward.grad_input(of_tanh, new, grad_input=of_new)
            torch.mul(of_new, memory, out=of_reset)
            of_gates = argument[:, : 2 * width]
            torch.ops.aten.sigmoid_backward.grad_input(of_gates, gates, grad_input=of_gates)
            other[:, : 2 * width] = of_gates
            torch.mul(of_new, reset, out=other[:, 2 * width :])
            gradient.mul_(update).add_(_product(other, back))
        of_rows = _product(arguments, of_inputs.t()) if ctx.needs_input_grad[0] else None
        of_weights = (torch.ops.rslcore.weight_gradient(*pair) for pair in ((arguments, rows), (others, before)))
        return of_rows, of_state, *of_weights, arguments.sum(0), others.sum(0), None, None
