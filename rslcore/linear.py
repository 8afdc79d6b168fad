"""Fully connected layers whose large products are made by oneDNN on a CPU.

torch hands products in single precision to MKL, which on CPUs that are not Intel's leaves half of their speed unused;
docs/performance.md has the figures. oneDNN comes with torch too. The numbers are the same but for the order of sums.

Legend: B rows, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

MIN_PRODUCT = 2**22
"""B * I * O from which on oneDNN gains more than its calls cost."""

MIN_ACTIVATED = 2**13
"""B * O from which on it does where it also applies an activation that torch is slow at."""

FUSED: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Tanh: "tanh"}
"""Activations that oneDNN applies to a product while it is in the cache."""

IS_AVAILABLE = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""Whether this torch has oneDNN, and lets it be asked for a product."""

IMAGES = 16
"""In how many images the rows are divided where a product is made as a convolution: fewer would go to MKL."""


def pays(rows: Tensor, layer: Any, activation: str = "none") -> bool:
    """Whether oneDNN makes the product of rows and a layer: large, in single precision, on a CPU."""
    weight = layer.weight
    num_rows = rows.shape[0]
    if not isinstance(num_rows, int):  # a symbol: what is exported for any number of rows holds torch's own operators
        return False
    is_large = num_rows * weight.numel() >= MIN_PRODUCT
    return (
        (is_large or (activation == "tanh" and num_rows * weight.shape[0] >= MIN_ACTIVATED))
        and IS_AVAILABLE
        and rows.dim() == 2
        and rows.device.type == "cpu"
        and rows.dtype == weight.dtype == torch.float32
        and layer.bias is not None
        and not torch.is_autocast_enabled("cpu")
        and not _is_transformed()
    )


def _is_transformed() -> bool:
    """Whether what runs is a function that torch exports or transforms, of which it does not know these operators."""
    if torch.compiler.is_compiling():
        return torch.compiler.is_exporting()
    return bool(torch._C._get_tracing_state()) or torch._C._are_functorch_transforms_active()


def linear(rows: Tensor, layer: Any, activation: str = "none") -> Tensor:
    """`activation(rows @ weight.T + bias)` by oneDNN, `[B, O]` of rows `[B, I]` for which this `pays`."""
    outputs: Tensor = _Linear.apply(  # type: ignore[no-untyped-call]
        rows.contiguous(), layer.weight, layer.bias, activation
    )
    return outputs


class FullyConnected(nn.Sequential):
    """Linear layers and activations in turn."""

    def forward(self, rows: Tensor) -> Tensor:
        """Inputs `[B, I]` to outputs `[B, O]`."""
        layers = list(self)
        index = 0
        while index < len(layers):
            layer, after = layers[index], layers[index + 1] if index + 1 < len(layers) else None
            activation = FUSED.get(type(after), "none") if after is not None and type(layer) is Linear else "none"
            if activation != "none" and not _is_hooked(layer, after) and pays(rows, layer, activation):
                rows = linear(rows, layer, activation)
                index += 2
            else:
                rows = layer(rows)
                index += 1
        return rows


class Linear(nn.Linear):
    """A fully connected layer: the same parameters and, but for rounding, the same numbers as torch's."""

    def forward(self, rows: Tensor) -> Tensor:
        """Inputs `[..., I]` to outputs `[..., O]`."""
        return linear(rows, self) if pays(rows, self) else functional.linear(rows, self.weight, self.bias)


def _is_hooked(*layers: Any) -> bool:
    """Whether someone wants to see one of the layers called."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(layer, kind) for layer in layers for kind in hooks)


class _Linear(torch.autograd.Function):
    """The product and its gradients."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, activation: str) -> Tensor:
        """Outputs `[B, O]`."""
        outputs: Tensor = torch.ops.rslcore.linear(rows, weight, bias, activation)
        ctx.activation = activation
        ctx.save_for_backward(rows, weight, *([outputs] if activation != "none" else []))
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Gradients of rows, weight and bias."""
        rows, weight, *outputs = ctx.saved_tensors
        differentiable = torch.is_grad_enabled()  # the gradient's own gradient is asked for, which oneDNN does not give
        if ctx.activation == "tanh":
            gradient = torch.ops.aten.tanh_backward(gradient, outputs[0])
        elif ctx.activation == "relu":
            gradient = torch.ops.aten.threshold_backward(gradient, outputs[0], 0)
        needs_rows, needs_weight, needs_bias, _ = ctx.needs_input_grad
        if differentiable or len(rows) * weight.numel() < MIN_PRODUCT:
            of_rows = gradient @ weight if needs_rows else None
            of_weight = gradient.t() @ rows if needs_weight else None
        else:
            gradient = gradient.contiguous()
            of_rows = torch.ops.rslcore.linear(gradient, weight.t(), None, "none") if needs_rows else None
            of_weight = torch.ops.rslcore.weight_gradient(gradient, rows) if needs_weight else None
        return of_rows, of_weight, gradient.sum(0) if needs_bias else None, None


# As operators of their own they are opaque to torch.compile, which would otherwise lay out their operands anew.

_operators = torch.library.Library("rslcore", "DEF")
_operators.define("linear(Tensor rows, Tensor weight, Tensor? bias, str activation) -> Tensor")
_operators.define("weight_gradient(Tensor gradient, Tensor rows) -> Tensor")


def _linear(rows: Tensor, weight: Tensor, bias: Tensor | None, activation: str) -> Tensor:
    outputs: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, activation, [], "")
    return outputs


def _weight_gradient(gradient: Tensor, rows: Tensor) -> Tensor:
    """`gradient.T @ rows`, `[O, I]`: the weight gradient of a convolution of one pixel with a row as its channels."""
    size = len(rows) // IMAGES
    if not size:
        return gradient.t() @ rows
    images, of_images = (
        tensor[: size * IMAGES].view(IMAGES, 1, size, -1).permute(0, 3, 1, 2) for tensor in (rows, gradient)
    )
    shape = (gradient.shape[1], rows.shape[1])
    result: Tensor = torch.ops.aten.convolution_backward(
        of_images, images, rows.new_empty(*shape, 1, 1), None, (1, 1), (0, 0), (1, 1), False, (0, 0), 1,
        (False, True, False),
    )[1].reshape(shape)  # fmt: skip
    if len(rows) % IMAGES:
        result.addmm_(gradient[size * IMAGES :].t(), rows[size * IMAGES :])
    return result


_operators.impl("linear", _linear, "CPU")
_operators.impl("weight_gradient", _weight_gradient, "CPU")
_operators.impl("linear", lambda rows, weight, bias, activation: rows.new_empty(len(rows), len(weight)), "Meta")
_operators.impl("weight_gradient", lambda gradient, rows: rows.new_empty(gradient.shape[1], rows.shape[1]), "Meta")
