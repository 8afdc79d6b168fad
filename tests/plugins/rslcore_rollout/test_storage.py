"""The rollout storage."""

from __future__ import annotations

import itertools

import pytest
import torch
from tensordict import TensorDict

from rslcore.config import StorageComponent
from rslcore.context import Context
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec

T, N = 8, 4


@pytest.fixture
def storage(small_config):
    groups = {"policy": TensorSpec((2,)), "grid": TensorSpec((3, 3), "uint8"), "image": TensorSpec((2, 3, 4), "int16")}
    spec = EnvSpec(N, groups, ActionSpec(1, (2,)))
    context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)
    config = default_registry().config_class("storage", "rollout")()
    storage = context.build(StorageComponent("rollout", config), "storage")
    storage.add_fields({"rewards": TensorSpec(()), "actions": TensorSpec((1,), "int64"), "extra": TensorSpec((2, 2))})
    return storage


def images(numbers):
    """Images `[B, 2, 3, 4]` of which all pixels differ."""
    return (numbers.view(-1, 1) * 24 + torch.arange(24)).view(-1, 2, 3, 4).short()


def fill(storage, invalid=(), ended=()):
    """Write a rollout in which every row holds its own number, t * N + n; invalid and ended rows are `(t, n)`."""
    for t in range(T):
        numbers = t * N + torch.arange(N)
        obs = {
            "policy": numbers.float().unsqueeze(1).expand(N, 2),
            "grid": numbers.view(N, 1, 1).expand(N, 3, 3),
            "image": images(numbers),
        }
        storage.write_obs(TensorDict(obs, batch_size=[N]))
        storage.write("rewards", numbers.float())
        storage.write("dones", torch.tensor([(t, n) in ended for n in range(N)]))
        storage.write("actions", numbers.unsqueeze(1))
        storage.write("extra", numbers.float().view(N, 1, 1).expand(N, 2, 2))
        if invalid:
            storage.write_valid(torch.tensor([(t, n) not in invalid for n in range(N)]))
        storage.advance()


def test_columns_keep_shape_and_dtype(storage):
    fill(storage)
    assert storage.column("rewards").shape == (T, N)
    assert storage.column("actions").dtype == torch.int64
    assert storage.column("extra").shape == (T, N, 2, 2)
    observations = storage.observations()
    assert observations.batch_size == (T * N,)
    assert observations["grid"].dtype == torch.uint8
    assert observations["policy"][:, 0].tolist() == list(range(T * N))


def test_mini_batches_hold_every_row_once_an_epoch_with_all_its_columns(storage):
    fill(storage)
    batches = list(storage.mini_batches(num_mini_batches=4, num_epochs=2))
    assert [len(batch) for batch in batches] == [8] * 8
    for epoch in (batches[:4], batches[4:]):
        rows = torch.cat([batch["rewards"] for batch in epoch])
        assert rows.sort().values.tolist() == list(range(T * N))
    for batch in batches:
        for column in (batch["actions"][:, 0], batch["extra"][:, 1, 1], batch.obs["policy"][:, 1]):
            assert torch.equal(column.float(), batch["rewards"])
        assert torch.equal(batch.obs["grid"][:, 2, 0].float(), batch["rewards"])
        assert torch.equal(batch.obs["image"], images(batch["rewards"].long()))


def test_mini_batches_are_permuted_anew_each_epoch_on_request(storage):
    torch.manual_seed(0)
    fill(storage)
    first, second = (batch["rewards"].tolist() for batch in storage.mini_batches(1, 2, shuffle="epoch"))
    assert first != second


def test_mini_batches_leave_invalid_rows_out(storage):
    fill(storage, invalid={(0, 1), (3, 2)})
    assert storage.valid.sum() == T * N - 2
    batches = list(storage.mini_batches(num_mini_batches=3, num_epochs=1))
    rows = torch.cat([batch["rewards"] for batch in batches]).tolist()
    assert len(rows) == len(set(rows)) == 30
    assert not {1.0, 14.0} & set(rows)


def test_clear_forgets_invalid_rows_and_begins_anew(storage):
    fill(storage, invalid={(0, 0)})
    storage.clear()
    assert storage.valid is None
    fill(storage)
    assert len(next(storage.mini_batches(1, 1))) == T * N


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


def numbers_of(batches):
    """The row numbers of each batch, of which every column and group is checked to hold the same."""
    batches = list(batches)
    for batch in batches:
        for column in (batch["actions"][:, 0], batch["extra"][:, 1, 1], batch.obs["policy"][:, 1]):
            assert torch.equal(column.float(), batch["rewards"])
        assert torch.equal(batch.obs["grid"][:, 2, 0].float(), batch["rewards"])
        assert torch.equal(batch.obs["image"], images(batch["rewards"].long()))
        assert len(batch) == batch.num_original == len(batch["rewards"])
    return [[int(number) for number in batch["rewards"]] for batch in batches]


def test_mini_batches_shuffled_once_are_the_same_in_every_epoch(storage):
    fill(storage)
    found = numbers_of(storage.mini_batches(4, 3, shuffle="rollout"))
    assert found[:4] == found[4:8] == found[8:]
    assert sorted(flat(found[:4])) == list(range(T * N)) != flat(found[:4])


def test_mini_batches_never_shuffled_keep_the_order(storage):
    fill(storage)
    assert numbers_of(storage.mini_batches(4, 2, shuffle="none")) == 2 * [[*range(k, k + 8)] for k in (0, 8, 16, 24)]


@pytest.mark.parametrize("shuffle", ["epoch", "rollout", "none"])
def test_mini_batches_of_any_shuffle_leave_invalid_rows_out(storage, shuffle):
    fill(storage, invalid={(0, 1), (3, 2)})
    found = numbers_of(storage.mini_batches(2, 2, shuffle=shuffle))
    assert [len(numbers) for numbers in found] == [15] * 4
    assert set(flat(found[:2])) == set(flat(found[2:])) == set(range(T * N)) - {1, 14}


@pytest.mark.parametrize("sequential", [False, True])
def test_mini_batches_of_a_large_rollout_have_their_observations_in_one_place(storage, monkeypatch, sequential):
    monkeypatch.setattr("rslcore_rollout.storage.MAX_KEPT_BYTES", 0)
    fill(storage)
    places, numbers = set(), []
    for batch in storage.mini_batches(2, 3, sequential=sequential):
        places.add(batch.obs["image"].data_ptr())
        numbers += numbers_of([batch])
    assert len(places) == 1
    assert numbers[:2] == numbers[2:4] == numbers[4:]
    assert sorted(flat(numbers[:2])) == list(range(T * N))


def test_images_lie_in_memory_with_the_channels_of_a_pixel_side_by_side(storage):
    fill(storage)
    found = [storage.observations(), storage.valid_observations()]
    assert torch.equal(found[0]["image"], images(torch.arange(T * N)))
    found += [batch.obs for batch in (*storage.mini_batches(2, 1), *storage.mini_batches(2, 1, sequential=True))]
    found += [batch.obs for batch in storage.windows(3)]
    assert all(obs["image"].is_contiguous(memory_format=torch.channels_last) for obs in found)
    assert all(obs["grid"].is_contiguous() for obs in found)


def test_valid_observations_leave_invalid_rows_out(storage):
    fill(storage, invalid={(0, 1), (3, 2)})
    observations = storage.valid_observations()
    left = torch.tensor(sorted(set(range(T * N)) - {1, 14}))
    assert observations.batch_size == (len(left),)
    assert torch.equal(observations["policy"][:, 0], left.float())
    assert torch.equal(observations["image"], images(left))


def test_mini_batches_of_fewer_rows_than_their_number_are_fewer(storage):
    # All rows but 3 are invalid; a batch of no rows would have a mean of NaN.
    fill(storage, invalid={(t, n) for t in range(T) for n in range(N)} - {(0, 0), (1, 0), (2, 0)})
    assert sorted(numbers_of(storage.mini_batches(4, 1))) == [[0], [4], [8]]


@pytest.mark.parametrize("sequential", [False, True])
def test_batches_of_a_rollout_without_a_valid_row_are_none(storage, sequential):
    fill(storage, invalid={(t, n) for t in range(T) for n in range(N)})
    assert list(storage.mini_batches(2, 2, sequential=sequential)) == []
    assert list(storage.windows(3, sequential=sequential)) == []


def envs_of(numbers):
    return {number % N for number in numbers}


def test_sequential_mini_batches_hold_whole_rollouts_of_some_envs(storage):
    fill(storage, ended={(2, 0), (7, 0), (4, 3)})
    batches = list(storage.mini_batches(2, 3, sequential=True))
    found = numbers_of(batches)
    for epoch in (found[:2], found[2:4], found[4:]):
        assert sorted(flat(epoch)) == list(range(T * N))
        assert [len(envs_of(numbers)) for numbers in epoch] == [2, 2]
    for numbers, batch in zip(found, batches, strict=True):
        sequences = batch.sequences
        assert set(sequences.envs.tolist()) == envs_of(numbers)
        for index, env in enumerate(sequences.envs.tolist()):
            steps = [number // N for number, of in zip(numbers, sequences.of_rows.tolist(), strict=True) if of == index]
            assert {number % N for number, of in zip(numbers, sequences.of_rows, strict=True) if of == index} == {env}
            # By hand: env 0 ends with steps 2 and 7, env 3 with step 4.
            parts = {0: ([0, 1, 2], [3, 4, 5, 6, 7]), 3: ([0, 1, 2, 3, 4], [5, 6, 7])}.get(env, ([*range(T)],))
            assert steps in parts
            assert sequences.continues[index] == (steps[0] == 0)
            assert sequences.goes_on[index] == (steps[-1] == T - 1 and env != 0)


def test_sequential_mini_batches_shuffle_the_envs(storage):
    torch.manual_seed(0)
    fill(storage)
    anew = [envs_of(numbers) for numbers in numbers_of(storage.mini_batches(2, 6, shuffle="epoch", sequential=True))]
    assert len({frozenset(envs) for envs in anew}) > 2
    once = [envs_of(x) for x in numbers_of(storage.mini_batches(2, 6, shuffle="rollout", sequential=True))]
    assert once == once[:2] * 6
    never = [envs_of(x) for x in numbers_of(storage.mini_batches(2, 2, shuffle="none", sequential=True))]
    assert never == [{0, 1}, {2, 3}] * 2


def test_sequential_mini_batches_leave_invalid_rows_out(storage):
    fill(storage, ended={(1, 2)}, invalid={(2, 2)})
    (batch,) = storage.mini_batches(1, 1, sequential=True)
    (numbers,) = numbers_of([batch])
    assert sorted(numbers) == sorted(set(range(T * N)) - {2 * N + 2})
    lengths = torch.bincount(batch.sequences.of_rows).tolist()
    assert lengths == [8, 8, 8, 5, 2]
    assert batch.sequences.envs.tolist()[3:] == [2, 2]


def test_sequential_mini_batches_leave_out_envs_that_do_not_divide(storage):
    fill(storage)
    found = numbers_of(storage.mini_batches(3, 1, sequential=True))
    assert [len(numbers) for numbers in found] == [T] * 3


def test_windows_hold_steps_in_their_order(storage):
    fill(storage, invalid={(0, 1)})
    found = numbers_of(storage.windows(3))
    assert found == [[0, *range(2, 12)], [*range(12, 24)], [*range(24, 32)]]


def test_windows_leave_out_steps_without_a_transition(storage):
    fill(storage, invalid={(1, n) for n in range(N)})
    assert numbers_of(storage.windows(1)) == [[*range(t * N, t * N + N)] for t in range(T) if t != 1]
    sequential = numbers_of(storage.windows(1, sequential=True))
    assert sequential == [[*range(t * N, t * N + N)] for t in range(T) if t != 1]


def test_sequential_windows_begin_anew_where_an_episode_ended(storage):
    fill(storage, ended={(1, 0), (3, 2)}, invalid={(4, 2)})
    batches = list(storage.windows(4, sequential=True))
    first, second = numbers_of(batches)
    assert sorted(first) == [*range(16)]
    assert sorted(second) == sorted({*range(16, 32)} - {18})
    assert batches[0].sequences.envs.tolist() == [1, 2, 3, 0, 0]
    assert batches[0].sequences.goes_on.tolist() == [True, False, True, False, True]
    # Env 2 was reset in step 4: its episode began with step 5 and continues nothing.
    assert batches[1].sequences.envs.tolist() == [0, 1, 3, 2]
    assert batches[1].sequences.continues.tolist() == [True, True, True, False]


def test_sequences_are_those_of_the_whole_rollout(storage):
    fill(storage, ended={(6, 1)}, invalid={(7, 1)})
    rows, sequences = storage.sequences()
    assert sorted(rows.tolist()) == sorted(set(range(T * N)) - {7 * N + 1})
    assert torch.equal(storage.observations()["policy"][rows, 0].long(), rows)
    assert sequences.envs.tolist() == [0, 2, 3, 1]
    assert sequences.batch_sizes.tolist() == [4] * 7 + [3]
    assert sequences.goes_on.tolist() == [True, True, True, False]


def test_sequences_of_a_new_rollout_are_found_anew(storage):
    fill(storage, ended={(0, 0)}, invalid={(1, 0)})
    assert len(storage.sequences()[1].envs) == 5
    storage.clear()
    fill(storage)
    assert len(storage.sequences()[1].envs) == 4
    assert len(storage.sequences()[0]) == T * N


@pytest.mark.parametrize("name", ["rewards", "dones"])
def test_add_fields_taken_name_is_refused(storage, name):
    with pytest.raises(ValueError, match=f"^the storage has a field '{name}' already; choose another name$"):
        storage.add_fields({name: TensorSpec(())})
