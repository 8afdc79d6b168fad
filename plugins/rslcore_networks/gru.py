"""A layer of a GRU as a loop over its steps; see `rslcore_networks.loop`.

With sigma the logistic function, x the inputs and h the state, and the gates in torch's order (Cho et al. 2014):

    r, z = sigma(W x + b + U h + c)        n = tanh(W x + b + r (U h + c))        h' = n + z (h - n)

The gradients of the weights are made for all steps at once, at the end.

Legend: B rows that are computed, R of them in the first step, S sequences, I inputs, H width of the memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rslcore_networks.steps import Steps, product


class GruLayer(torch.autograd.Function):
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
        steps: Steps,
        keeps: bool,
    ) -> tuple[Tensor, Tensor]:
        """Outputs `[B, H]` and the state at the ends `[S, H]`; keeps what gradients need."""
        width = first.shape[1]
        outputs = rows.new_empty(len(rows), width)
        ends = rows.new_empty(steps.sizes[0], width)
        hidden, kept = first, []
        for step, (inputs, output) in enumerate(zip(rows.split(steps.rooms), outputs.split(steps.rooms), strict=True)):
            last = hidden[: len(inputs)]
            argument = product(inputs, of_inputs, bias)
            other = product(last, of_hidden, hidden_bias)
            gates = (argument[:, : 2 * width] + other[:, : 2 * width]).sigmoid_()
            reset, update = gates.chunk(2, 1)
            memory = other[:, 2 * width :].contiguous()
            # tanh(a) = 2 sigma(2 a) - 1, since torch's tanh takes several times as long.
            new = torch.addcmul(argument[:, 2 * width :], reset, memory).mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)
            torch.lerp(new, last, update, out=output)
            hidden = output
            ending = steps.ending(step)
            ends[ending] = output[ending]
            if keeps:
                kept += [gates, memory, new]
        ctx.steps = steps
        ctx.save_for_backward(rows, first, outputs, of_inputs, of_hidden, *kept)
        return outputs, ends

    @staticmethod
    def backward(ctx: Any, of_outputs: Tensor, of_ends: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of rows, state, weights and biases."""
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "a GRU's gradient has no gradient on a CPU where its products are large; take more minibatches"
            )
        rows, first, outputs, of_inputs, of_hidden, *kept = ctx.saved_tensors
        steps, width = ctx.steps, of_hidden.shape[1]
        of_state, before = torch.zeros_like(first), steps.before(first, outputs)
        arguments, others = rows.new_empty(2, len(rows), 3 * width)  # their gradients
        split = [tensor.split(steps.rooms) for tensor in (of_outputs, arguments, others)]
        back = of_hidden.t()
        for step, room in reversed([*enumerate(steps.rooms)]):
            of_output, argument, other = (parts[step] for parts in split)
            gates, memory, new = kept[3 * step : 3 * step + 3]
            reset, update = gates.chunk(2, 1)
            of_reset, of_update, of_new = argument.chunk(3, 1)
            ending = steps.ending(step)
            of_state[ending] += of_ends[ending]
            gradient = of_state[:room]
            gradient += of_output
            torch.mul(gradient, before[step] - new, out=of_update)
            of_tanh = torch.addcmul(gradient, gradient, update, value=-1)
            torch.ops.aten.tanh_backward.grad_input(of_tanh, new, grad_input=of_new)
            torch.mul(of_new, memory, out=of_reset)
            of_gates = argument[:, : 2 * width]
            torch.ops.aten.sigmoid_backward.grad_input(of_gates, gates, grad_input=of_gates)
            other[:, : 2 * width] = of_gates
            torch.mul(of_new, reset, out=other[:, 2 * width :])
            gradient.mul_(update).add_(product(other, back))
        of_rows = product(arguments, of_inputs.t()) if ctx.needs_input_grad[0] else None
        of_weights = (
            torch.ops.rslcore.weight_gradient(*pair) for pair in ((arguments, rows), (others, torch.cat(before)))
        )
        return of_rows, of_state, *of_weights, arguments.sum(0), others.sum(0), None, None
