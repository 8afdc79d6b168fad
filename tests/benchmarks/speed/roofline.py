"""The floor of an update: the bare matrix products of its layers, and nothing else.

Of each fully connected layer of actor and critic, for every minibatch of every epoch: the product of the forward pass,
the gradient of the weights, and, but for the first layer, the gradient of the inputs. Buffers are kept. The number of
rows that are multiplied at once is the best of a few, tried in the first turn, which warms up.

`torch.mm` calls the BLAS that torch is built with; oneDNN's products are reached by the operators that torch's own
compiler emits, and its weight gradients as those of a convolution of 1 x 1.

Legend: B rows, I inputs, O outputs of a layer.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from rslcore.config import unstructure
from speed.worker import Turns
from speed.workloads import Workload

CHUNKS = (1024, 2048, 4096, 8192)
"""Rows at once that are tried, beside a whole minibatch."""


@attrs.frozen
class Layer:
    """What a layer multiplies: inputs `[B, I]`, weights `[O, I]`, gradients of its outputs `[B, O]`."""

    inputs: Tensor
    weights: Tensor
    gradients: Tensor
    is_first: bool
    outputs: Tensor = attrs.field(init=False)
    input_gradients: Tensor = attrs.field(init=False)
    weight_gradients: Tensor = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        for name, like in (("outputs", "gradients"), ("input_gradients", "inputs"), ("weight_gradients", "weights")):
            object.__setattr__(self, name, torch.empty_like(getattr(self, like)))

    def multiply_mm(self) -> None:
        """By `torch.mm`."""
        torch.mm(self.inputs, self.weights.t(), out=self.outputs)
        torch.mm(self.gradients.t(), self.inputs, out=self.weight_gradients)
        if not self.is_first:
            torch.mm(self.gradients, self.weights, out=self.input_gradients)

    def multiply_onednn(self) -> None:
        """By oneDNN, whose operators give new tensors."""
        linear, backward = torch.ops.mkldnn._linear_pointwise, torch.ops.aten.convolution_backward
        linear(self.inputs, self.weights, None, "none", [], "")
        images = [_as_image(self.gradients), _as_image(self.inputs), self.weights[:, :, None, None]]
        backward(*images, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, True, False])
        if not self.is_first:
            linear(self.gradients, self.weights.t(), None, "none", [], "")


def _as_image(rows: Tensor) -> Tensor:
    """Rows `[B, C]` as the pixels of images `[16, C, 1, B / 16]`; of fewer images MKL would make the product."""
    return rows.view(16, 1, len(rows) // 16, -1).permute(0, 3, 1, 2)


def train(workload: Workload, options: Sequence[str], turns: Turns) -> None:
    """Make the products of an update in every turn.

    Args:
        workload: Whose networks are `mlp`.
        options: `mm` or `onednn`.
        turns: To wait for.

    Raises:
        ValueError: This torch cannot reach oneDNN, or not on this device.
    """
    if options[0] == "onednn" and (turns.device != "cpu" or not torch.backends.mkldnn.is_available()):
        raise ValueError("oneDNN is not there")
    tree = unstructure(workload.config(turns.device, turns.threads))
    ppo = tree["algorithm"]
    num_rows = tree["env"]["num_envs"] * tree["runner"]["num_steps_per_env"] // ppo["num_mini_batches"]
    num_inputs, num_actions = tree["env"]["shape"][0], tree["env"]["num_actions"]
    networks = [
        [num_inputs, *tree["policy"][part]["network"]["hidden_dims"], num_outputs]
        for part, num_outputs in (("actor", num_actions), ("critic", 1))
    ]
    candidates = [
        _products(networks, rows, num_rows, options[0], turns.device)
        for rows in (num_rows, *CHUNKS)
        if rows <= num_rows and num_rows % rows == 0
    ]
    turns.begin()
    best = min(candidates, key=_seconds)  # in a turn, since others are quiet then; the first is not counted
    while True:
        for _ in range(ppo["num_learning_epochs"] * ppo["num_mini_batches"]):
            best()
        turns.end(0.0)


def _products(
    networks: Sequence[Sequence[int]], rows: int, num_rows: int, library: str, device: str
) -> Callable[[], None]:
    """What makes the products of a minibatch of `num_rows`, so many rows at once."""
    calls = []
    for widths in networks:
        for place, (num_inputs, num_outputs) in enumerate(itertools.pairwise(widths)):
            shapes = (rows, num_inputs), (num_outputs, num_inputs), (rows, num_outputs)
            layer = Layer(*(torch.randn(shape, device=device) for shape in shapes), place == 0)
            calls.append(layer.multiply_mm if library == "mm" else layer.multiply_onednn)

    def run() -> None:
        for _ in range(num_rows // rows):
            for call in calls:
                call()

    return run


def _seconds(run: Callable[[], None]) -> float:
    """The fastest of three, after one."""
    run()
    samples = []
    for _ in range(3):
        started = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        samples.append(time.perf_counter() - started)
    return min(samples)
