"""Layers as loops over their steps give what torch's give for packed sequences."""

from __future__ import annotations

import attrs
import numpy
import pytest
import torch
from torch import nn

from rslcore.recurrence import split_sequences
from rslcore_networks import lstm
from rslcore_networks.loop import ROOM, can_loop, run_loop

T, N, F, H = 7, 20, 6, 8


@pytest.fixture
def sequences():
    """Some more than two of a loop's rooms hold, which end at many steps, and a permutation of their rows."""
    dones = numpy.random.default_rng(3).random((T, N)) < 0.15
    found = split_sequences(dones, None, torch.device("cpu"))[1]
    assert found.sizes[0] > 2 * ROOM > 2 * found.sizes[-1]
    torch.manual_seed(2)
    return attrs.evolve(found, order=torch.randperm(T * N))


def make(kind, num_layers, sequences):
    torch.manual_seed(0)
    rows = torch.randn(T * N, F, requires_grad=True)
    parts = 2 if kind is nn.LSTM else 1
    state = tuple(torch.randn(num_layers, sequences.sizes[0], H, requires_grad=True) for _ in range(parts))
    return kind(F, H, num_layers), rows, state


def by_torch(module, rows, state, sequences):
    outputs, ends = module(sequences.pack(rows), state if len(state) > 1 else state[0])
    return sequences.unpack(outputs), ends if len(state) > 1 else (ends,)


def gradients(results, module, rows, state):
    torch.manual_seed(1)
    loss = sum((result * torch.randn_like(result)).sum() for result in results)
    return torch.autograd.grad(loss, [rows, *state, *module.parameters()])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("block", [1, 100, 1000])
def test_run_loop_gives_outputs_states_and_gradients_of_torch(monkeypatch, sequences, kind, num_layers, block):
    monkeypatch.setattr(lstm, "BLOCK", block)
    module, rows, state = make(kind, num_layers, sequences)
    outputs, ends = run_loop(module, rows, state, sequences)
    expected, expected_ends = by_torch(module, rows, state, sequences)
    torch.testing.assert_close((outputs, *ends), (expected, *expected_ends))
    found = gradients([outputs, *ends], module, rows, state)
    torch.testing.assert_close(found, gradients([expected, *expected_ends], module, rows, state))


def test_run_loop_of_an_lstm_gives_what_is_computed_by_hand():
    module = nn.LSTM(1, 1)
    with torch.no_grad():
        for parameter, values in zip(
            module.parameters(),
            ([[0.5], [1.0], [-1.0], [2.0]], [[0.1], [0.2], [0.3], [0.4]], [0.0, 1.0, 0.5, 0.0], [0.0] * 4),
            strict=True,
        ):
            parameter.copy_(torch.tensor(values))
    sequences = split_sequences(numpy.zeros((1, 1), dtype=bool), None, torch.device("cpu"))[1]
    before = (torch.ones(1, 1, 1), torch.ones(1, 1, 1))
    outputs, (hidden, cell) = run_loop(module, torch.tensor([[2.0]]), before, sequences)
    # i, f, o = sigma(1.1, 3.2, 4.4), g = tanh(-1.2); c = f + i g, h = o tanh(c)
    taken, forgotten, new, shown = 0.75026011, 0.96083428, -0.83365461, 0.98787157
    after = forgotten + taken * new
    torch.testing.assert_close(cell, torch.full((1, 1, 1), after))
    torch.testing.assert_close(outputs, torch.full((1, 1), shown * 0.32334348))
    torch.testing.assert_close(hidden[0], outputs)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_run_loop_goes_back_twice_where_the_graph_is_kept(sequences, kind):
    module, rows, state = make(kind, 2, sequences)
    loss = run_loop(module, rows, state, sequences)[0].square().sum()
    first = torch.autograd.grad(loss, rows, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, rows), first)


@pytest.mark.parametrize(("kind", "name"), [(nn.LSTM, "an LSTM"), (nn.GRU, "a GRU")])
def test_run_loop_has_no_second_gradient(sequences, kind, name):
    module, rows, state = make(kind, 1, sequences)
    outputs, _ = run_loop(module, rows, state, sequences)
    message = f"^{name}'s gradient has no gradient on a CPU where its products are large; take more minibatches$"
    with pytest.raises(NotImplementedError, match=message):
        torch.autograd.grad(outputs.sum(), rows, create_graph=True)


def test_can_loop_in_single_precision_only():
    rows = torch.zeros(1, 1)
    assert can_loop(rows)
    assert not can_loop(rows.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not can_loop(rows)
