"""Sequences of a rollout, and the states that recurrent networks are handed."""

from __future__ import annotations

import attrs
import numpy
import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rslcore.recurrence import (
    InferenceMemory,
    detach,
    forget,
    interleave,
    run_network,
    split_sequences,
    state_specs,
    zero_state,
)
from rslcore.specs import TensorSpec

CPU = torch.device("cpu")


def split(dones, valid=None, **options):
    """Split, with ends and transitions written env by env."""
    dones = numpy.array(dones, dtype=bool).T
    valid = None if valid is None else numpy.array(valid, dtype=bool).T
    return split_sequences(dones, valid, CPU, **options)


def rows_by_sequence(rows, sequences):
    found = [[] for _ in sequences.envs]
    for row, sequence in zip(rows.tolist(), sequences.of_rows.tolist(), strict=True):
        found[sequence].append(row)
    return found


def test_split_sequences_of_one_env():
    rows, sequences = split([[0, 1, 0, 0]])
    assert rows.tolist() == [0, 2, 1, 3]  # the first rows of both, then the second ones
    assert rows_by_sequence(rows, sequences) == [[0, 1], [2, 3]]
    assert sequences.batch_sizes.tolist() == [2, 2]
    assert sequences.envs.tolist() == [0, 0]
    assert sequences.continues.tolist() == [True, False]
    assert sequences.goes_on.tolist() == [False, True]
    assert sequences.order is None


def test_split_sequences_of_several_envs_puts_the_longest_first():
    # Two envs, so rows are 2 t + n: env 0 ends with step 1, env 1 with the last step.
    rows, sequences = split([[0, 1, 0, 0], [0, 0, 0, 1]])
    assert rows.tolist() == [1, 0, 4, 3, 2, 6, 5, 7]
    assert rows_by_sequence(rows, sequences) == [[1, 3, 5, 7], [0, 2], [4, 6]]
    assert sequences.batch_sizes.tolist() == [3, 3, 1, 1]
    assert sequences.envs.tolist() == [1, 0, 0]
    assert sequences.continues.tolist() == [True, True, False]
    assert sequences.goes_on.tolist() == [False, False, True]


def test_split_sequences_with_an_end_in_every_step():
    rows, sequences = split([[1, 1, 1]])
    assert rows_by_sequence(rows, sequences) == [[0], [1], [2]]
    assert sequences.batch_sizes.tolist() == [3]
    assert sequences.continues.tolist() == [True, False, False]
    assert sequences.goes_on.tolist() == [False, False, False]


@pytest.mark.parametrize(
    ("dones", "valid", "expected", "continues", "goes_on"),
    [
        ([0, 1, 0, 0], [1, 1, 0, 1], [[0, 1], [3]], [True, False], [False, True]),
        ([0, 0, 0, 0], [0, 1, 1, 1], [[1, 2, 3]], [False], [True]),
        ([0, 0, 1, 0], [1, 1, 1, 0], [[0, 1, 2]], [True], [False]),
        ([0, 1, 0, 0], [1, 1, 0, 0], [[0, 1]], [True], [False]),
        # What follows an invalid row is a new episode, whatever came before it.
        ([0, 0, 0, 0], [1, 0, 1, 1], [[2, 3], [0]], [False, True], [True, False]),
    ],
)
def test_split_sequences_leaves_invalid_rows_out(dones, valid, expected, continues, goes_on):
    rows, sequences = split([dones], [valid])
    assert rows_by_sequence(rows, sequences) == expected
    assert sequences.continues.tolist() == continues
    assert sequences.goes_on.tolist() == goes_on


def test_split_sequences_without_a_valid_row_is_empty():
    rows, sequences = split([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    assert rows.tolist() == sequences.of_rows.tolist() == sequences.batch_sizes.tolist() == []
    assert sequences.envs.tolist() == sequences.continues.tolist() == sequences.goes_on.tolist() == []


def test_split_sequences_of_some_steps_counts_rows_of_the_whole_rollout():
    # Steps 1 and 2; env 0 ends with step 1, env 1 with the last of the steps taken.
    rows, sequences = split([[0, 1, 0, 0], [0, 0, 1, 0]], steps=slice(1, 3))
    assert rows_by_sequence(rows, sequences) == [[3, 5], [2], [4]]
    assert sequences.envs.tolist() == [1, 0, 0]
    assert sequences.continues.tolist() == [True, True, False]
    assert sequences.goes_on.tolist() == [False, False, True]


def test_split_sequences_of_some_envs_keeps_their_numbers():
    dones = [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    rows, sequences = split(dones, envs=numpy.array([2, 0]))
    assert rows_by_sequence(rows, sequences) == [[2, 5, 8], [0, 3], [6]]
    assert sequences.envs.tolist() == [2, 0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_split_sequences_equals_a_slow_loop(seed):
    random = numpy.random.default_rng(seed)
    num_steps, num_envs = random.integers(1, 9, 2)
    dones = random.random((num_steps, num_envs)) < 0.3
    valid = random.random((num_steps, num_envs)) < 0.8 if seed % 2 else None
    first = int(random.integers(num_steps))
    last = int(random.integers(first, num_steps))
    envs = random.permutation(num_envs)[: random.integers(1, num_envs + 1)]

    expected = []  # (rows, env, continues, goes on), in any order
    for env in envs:
        open_rows, continues = [], True
        for step in range(first, last + 1):
            if valid is None or valid[step, env]:
                open_rows.append(step * num_envs + env)
            ended = dones[step, env] or not (valid is None or valid[step, env])
            if open_rows and (ended or step == last):
                expected.append((open_rows, env, continues, not ended))
            if ended:
                open_rows, continues = [], False
    rows, sequences = split_sequences(dones, valid, CPU, slice(first, last + 1), envs)
    found = zip(
        rows_by_sequence(rows, sequences),
        sequences.envs.tolist(),
        sequences.continues.tolist(),
        sequences.goes_on.tolist(),
        strict=True,
    )
    found = list(found)
    assert sorted(found) == sorted((list(map(int, rows)), int(env), *flags) for rows, env, *flags in expected)
    lengths = [len(rows) for rows, *_ in found]
    assert lengths == sorted(lengths, reverse=True)
    assert sequences.batch_sizes.tolist() == [
        sum(length > step for length in lengths) for step in range(max(lengths, default=0))
    ]


@pytest.fixture
def sequences():
    """Of 2 envs and 4 steps, as above: lengths 4, 2 and 2."""
    return split([[0, 1, 0, 0], [0, 0, 0, 1]])[1]


@pytest.mark.parametrize("order", [None, [3, 1, 7, 0, 5, 2, 6, 4]])
def test_unpack_is_the_inverse_of_pack(sequences, order):
    order = None if order is None else torch.tensor(order)
    shuffled = attrs.evolve(sequences, order=order)
    rows = torch.randn(8, 3)
    packed = shuffled.pack(rows)
    assert torch.equal(packed.data, rows if order is None else rows[order])
    assert torch.equal(packed.batch_sizes, sequences.batch_sizes)
    assert torch.equal(shuffled.unpack(packed), rows)


def test_unpack_hands_gradients_on(sequences):
    shuffled = attrs.evolve(sequences, order=torch.randperm(8))
    rows = torch.randn(8, 3, requires_grad=True)
    weights = torch.randn(8, 3)
    (shuffled.unpack(shuffled.pack(rows)) * weights).sum().backward()
    assert torch.equal(rows.grad, weights)


def test_first_states_are_those_of_the_envs_where_an_episode_goes_on(sequences):
    states = {"hidden": torch.tensor([[1.0], [2.0]])}
    assert sequences.first_states(states)["hidden"].tolist() == [[2.0], [1.0], [0.0]]
    assert sequences.first_states({}) == {}


def test_last_states_are_those_of_the_sequences_where_an_episode_goes_on(sequences):
    after = {"hidden": torch.tensor([[1.0], [2.0], [3.0]])}
    # Env 1 has ended with the last step; the episode of env 0 that goes on is its second one.
    assert sequences.last_states(after, 2)["hidden"].tolist() == [[3.0], [0.0]]
    # A third env that is not among the sequences has no state.
    assert sequences.last_states(after, 3)["hidden"].tolist() == [[3.0], [0.0], [0.0]]


def test_tile_and_interleave_equal_each_copy_apart(sequences):
    torch.manual_seed(0)
    rnn = nn.GRU(3, 5)
    copies = [torch.randn(8, 3) for _ in range(3)]
    states = [{"hidden": torch.randn(3, 1, 5)} for _ in range(3)]
    tiled = sequences.tile(3)
    before = interleave(states)["hidden"]
    assert before.shape == (9, 1, 5)
    packed, after = rnn(tiled.pack(torch.cat(copies)), before.transpose(0, 1).contiguous())
    outputs = tiled.unpack(packed).split(8)
    for copy, (rows, state) in enumerate(zip(copies, states, strict=True)):
        alone, state_after = rnn(sequences.pack(rows), state["hidden"].transpose(0, 1).contiguous())
        torch.testing.assert_close(outputs[copy], sequences.unpack(alone))
        torch.testing.assert_close(after[:, copy::3], state_after)


def test_tile_knows_the_sequence_of_each_row(sequences):
    tiled = sequences.tile(2)
    assert tiled.copies == 2
    assert tiled.batch_sizes.tolist() == [6, 6, 2, 2]
    assert tiled.order.tolist() == [0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15]
    assert tiled.of_rows.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 0, 1]
    assert tiled.envs.tolist() == [1, 1, 0, 0, 0, 0]
    assert tiled.continues.tolist() == [True, True, True, True, False, False]
    assert tiled.goes_on.tolist() == [False, False, False, False, True, True]


def test_tile_twice_equals_tile_at_once(sequences):
    twice, at_once = sequences.tile(2).tile(2), sequences.tile(4)
    # Copy c of copy d stands at `c * 2 * B + d * B`, in either.
    assert twice.copies == at_once.copies == 4
    rows = torch.arange(32)
    for some in (twice, at_once):
        assert torch.equal(some.unpack(some.pack(rows)), rows)
    assert torch.equal(twice.batch_sizes, at_once.batch_sizes)
    assert torch.equal(twice.envs, at_once.envs)


def test_last_states_of_tiled_sequences_are_those_of_the_first_copy(sequences):
    after = interleave([{"hidden": torch.tensor([[1.0], [2.0], [3.0]])}, {"hidden": torch.full((3, 1), 9.0)}])
    assert sequences.tile(2).last_states(after, 2)["hidden"].tolist() == [[3.0], [0.0]]


def test_forget_zeroes_the_rows_that_ended_in_every_part():
    state = {"hidden": torch.ones(3, 2, 2), "count": torch.ones(3, dtype=torch.int64)}
    forgotten = forget(state, torch.tensor([False, True, False]))
    assert forgotten["hidden"].sum((1, 2)).tolist() == [4.0, 0.0, 4.0]
    assert forgotten["count"].tolist() == [1, 0, 1]
    assert state["count"].tolist() == [1, 1, 1]  # the state handed in stays
    assert forget({}, torch.tensor([True])) == {}


def test_zero_state_has_the_shapes_and_types_of_its_specs():
    state = zero_state({"hidden": TensorSpec((2, 3)), "count": TensorSpec((), "int64")}, 4, CPU)
    assert state["hidden"].shape == (4, 2, 3)
    assert state["count"].dtype == torch.int64
    assert not any(part.any() for part in state.values())


def test_detach_cuts_the_graph():
    weight = torch.ones(1, requires_grad=True)
    assert not detach({"hidden": 2 * weight})["hidden"].requires_grad


class Sum:
    """Remembers the sum of what it has seen."""

    def state_specs(self):
        return {"sum": TensorSpec((1,))}

    def __call__(self, obs, state, sequences):
        total = state["sum"] + obs["policy"]
        return total, {"sum": total}


def test_run_network_hands_states_to_recurrent_networks_only():
    obs = TensorDict({"policy": torch.ones(2, 1)}, batch_size=[2])
    outputs, state = run_network(Sum(), obs, {"sum": torch.ones(2, 1)}, None)
    assert outputs.tolist() == state["sum"].tolist() == [[2.0], [2.0]]
    outputs, state = run_network(lambda obs: obs["policy"], obs, {}, None)
    assert (outputs.tolist(), state) == ([[1.0], [1.0]], {})
    assert state_specs(Sum()) == {"sum": TensorSpec((1,))}
    assert state_specs(nn.Linear(1, 1)) == {}


class SumPolicy:
    """Acts by the sum, and has a second network that acting leaves out."""

    def state_specs(self):
        return {"actor": Sum().state_specs(), "critic": Sum().state_specs()}

    def act_inference(self, obs, states):
        actions, state = Sum()(obs, states["actor"], None)
        return actions, {"actor": state}


def test_inference_memory_remembers_until_it_is_reset():
    memory = InferenceMemory(SumPolicy(), CPU)
    ones = TensorDict({"policy": torch.ones(2, 1)}, batch_size=[2])
    memory.reset(torch.tensor([True, True]))  # nothing to forget yet
    assert memory.act(ones).tolist() == [[1.0], [1.0]]
    assert memory.act(ones).tolist() == [[2.0], [2.0]]
    memory.reset(torch.tensor([True, False]))
    assert memory.act(ones).tolist() == [[1.0], [3.0]]
    memory.reset()
    assert memory.act(ones).tolist() == [[1.0], [1.0]]


def test_inference_memory_begins_anew_for_another_number_of_envs():
    memory = InferenceMemory(SumPolicy(), CPU)
    assert memory.act(TensorDict({"policy": torch.ones(2, 1)}, batch_size=[2])).tolist() == [[1.0], [1.0]]
    assert memory.act(TensorDict({"policy": torch.ones(1, 1)}, batch_size=[1])).tolist() == [[1.0]]
    assert memory.act(TensorDict({"policy": torch.ones(2, 1)}, batch_size=[2])).tolist() == [[1.0], [1.0]]
