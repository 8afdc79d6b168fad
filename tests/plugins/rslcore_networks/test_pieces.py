"""Sequences piece by piece give what torch's modules give for packed ones."""

from __future__ import annotations

import attrs
import numpy
import pytest
import torch
from torch import nn

from rslcore.recurrence import split_sequences
from rslcore_networks import pieces
from rslcore_networks.pieces import run_sequences

T, N, F, H = 9, 6, 3, 4
MODULES = pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])


@pytest.fixture
def sequences():
    """Sequences of many lengths."""
    dones = numpy.random.default_rng(3).random((T, N)) < 0.2
    found = split_sequences(dones, None, torch.device("cpu"))[1]
    assert len(set(found.batch_sizes.tolist())) > 3
    return found


@pytest.fixture
def calls(monkeypatch):
    """What the module was called with: `[L, S, F]`, or `packed`."""
    shapes = []
    for kind in (nn.LSTM, nn.GRU):
        forward = kind.forward

        def spy(module, rows, state, forward=forward):
            shapes.append(list(rows.shape) if isinstance(rows, torch.Tensor) else "packed")
            return forward(module, rows, state)

        monkeypatch.setattr(kind, "forward", spy)
    return shapes


def are_large(monkeypatch):
    monkeypatch.setattr(pieces, "MIN_STEP", 0)
    monkeypatch.setattr(pieces, "_is_faster_as_loop", lambda *_: True)


def make(kind, sequences, num_layers=1, dtype=torch.float32):
    torch.manual_seed(0)
    module = kind(F, H, num_layers).to(dtype)
    rows = torch.randn(len(sequences.of_rows), F, dtype=dtype, requires_grad=True)
    parts = 2 if kind is nn.LSTM else 1
    state = tuple(
        torch.randn(num_layers, len(sequences.envs), H, dtype=dtype, requires_grad=True) for _ in range(parts)
    )
    return module, rows, state


def packed(module, rows, state, sequences):
    outputs, ends = module(sequences.pack(rows), state if len(state) > 1 else state[0])
    return sequences.unpack(outputs), ends if len(state) > 1 else (ends,)


def gradients(outputs, module, rows, state):
    torch.manual_seed(1)
    loss = sum((output * torch.randn_like(output)).sum() for output in outputs)
    return torch.autograd.grad(loss, [rows, *state, *module.parameters()])


@MODULES
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("max_padded", [0, 5, 10**6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_run_sequences_in_pieces_gives_outputs_and_gradients_of_packed_ones(
    monkeypatch, sequences, kind, num_layers, max_padded, dtype
):
    module, rows, state = make(kind, sequences, num_layers, dtype)
    monkeypatch.setattr(pieces, "MIN_CUT", max_padded * sum(parameter.numel() for parameter in module.parameters()))
    sequences = attrs.evolve(sequences, needs_ends=False, order=torch.randperm(len(rows)))
    outputs, _ = run_sequences(module, rows, state, sequences)
    expected, _ = packed(module, rows, state, sequences)
    torch.testing.assert_close(outputs, expected)
    found = gradients([outputs], module, rows, state)
    torch.testing.assert_close(found, gradients([expected], module, rows, state))


@MODULES
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_run_sequences_of_many_rows_gives_states_at_the_ends_and_their_gradients(
    monkeypatch, sequences, kind, num_layers, dtype, is_shuffled
):
    are_large(monkeypatch)
    module, rows, state = make(kind, sequences, num_layers, dtype)
    if is_shuffled:
        sequences = attrs.evolve(sequences, order=torch.randperm(len(rows)))
    outputs, ends = run_sequences(module, rows, state, sequences)
    expected, expected_ends = packed(module, rows, state, sequences)
    torch.testing.assert_close((outputs, *ends), (expected, *expected_ends))
    has_gradients = kind is nn.LSTM or dtype is torch.float32
    found = gradients([outputs, *(ends if has_gradients else ())], module, rows, state)
    by_torch = gradients([expected, *(expected_ends if has_gradients else ())], module, rows, state)
    torch.testing.assert_close(found, by_torch)
    with torch.no_grad():
        again, again_ends = run_sequences(module, rows, state, sequences)
    torch.testing.assert_close((again, *again_ends), (expected, *expected_ends))


def test_run_sequences_of_many_rows_pads_no_lstm(monkeypatch, sequences, calls):
    monkeypatch.setattr(pieces, "MIN_STEP", 0)
    module, rows, state = make(nn.LSTM, sequences)
    run_sequences(module, rows, state, sequences)
    assert sum(length * count for length, count, _ in calls) == len(rows)


def test_run_sequences_of_many_rows_leaves_a_gru_to_onednn_in_single_precision(monkeypatch, sequences, calls):
    monkeypatch.setattr(pieces, "MIN_STEP", 0)
    run_sequences(*make(nn.GRU, sequences), sequences)
    assert not calls
    run_sequences(*make(nn.GRU, sequences, dtype=torch.float64), sequences)
    assert len(calls) == 2  # for the outputs and for the ends


@pytest.mark.parametrize(
    ("num_rows", "width", "loops"),
    [(256, 256, True), (512, 64, True), (256, 64, False), (192, 256, True), (191, 256, False), (1024, 1024, False)],
)
def test_run_sequences_loops_over_an_lstm_where_that_is_faster(monkeypatch, num_rows, width, loops):
    looped = []
    monkeypatch.setattr(pieces, "run_loop", lambda *_: looped.append(True) or ((), ()))
    sequences = split_sequences(numpy.zeros((1, num_rows), dtype=bool), None, torch.device("cpu"))[1]
    state = (torch.zeros(1, num_rows, width), torch.zeros(1, num_rows, width))
    with torch.no_grad():
        run_sequences(nn.LSTM(F, width), torch.zeros(num_rows, F), state, sequences)
    assert bool(looped) is loops


@MODULES
def test_run_sequences_of_few_rows_packs_them_without_gradients(sequences, calls, kind):
    module, rows, state = make(kind, sequences)
    with torch.no_grad():
        run_sequences(module, rows, state, sequences)
    assert calls == ["packed"]


@MODULES
def test_run_sequences_of_few_rows_pads_them_for_gradients_and_packs_them_for_the_ends(sequences, calls, kind):
    module, rows, state = make(kind, sequences)
    outputs, ends = run_sequences(module, rows, state, sequences)
    assert calls == [[len(sequences.batch_sizes), len(sequences.envs), F], "packed"]
    expected, expected_ends = packed(module, rows, state, sequences)
    torch.testing.assert_close((outputs, *ends), (expected, *expected_ends))


@MODULES
def test_run_sequences_cuts_where_padding_exceeds_its_limit(monkeypatch, calls, kind):
    # Two sequences of four rows, one of three and one of a single row.
    dones = numpy.zeros((4, 3), dtype=bool)
    dones[2, 0] = True
    sequences = attrs.evolve(split_sequences(dones, None, torch.device("cpu"))[1], needs_ends=False)
    assert sequences.batch_sizes.tolist() == [4, 3, 3, 2]
    module, rows, state = make(kind, sequences)
    num_weights = sum(parameter.numel() for parameter in module.parameters())
    for max_padded, expected in ((0, [[1, 4], [2, 3], [1, 2]]), (2, [[3, 4], [1, 2]]), (4, [[4, 4]])):
        monkeypatch.setattr(pieces, "MIN_CUT", max_padded * num_weights)
        calls.clear()
        run_sequences(module, rows, state, sequences)
        assert [call[:2] for call in calls] == expected


def test_run_sequences_in_bf16_goes_back_through_pieces(monkeypatch, sequences):
    monkeypatch.setattr(pieces, "MIN_CUT", 0)
    module, rows, state = make(nn.LSTM, sequences)
    expected, ends = packed(module, rows, state, sequences)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, found = run_sequences(module, rows, state, sequences)
    torch.testing.assert_close(outputs.float(), expected, atol=0.03, rtol=0.0)
    torch.testing.assert_close(found, ends)  # these are made in full precision
    assert all(gradient.isfinite().all() for gradient in gradients([outputs.float()], module, rows, state))
