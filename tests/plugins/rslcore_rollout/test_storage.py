"""The rollout storage."""

from __future__ import annotations

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
    spec = EnvSpec(N, {"policy": TensorSpec((2,)), "image": TensorSpec((3, 3), "uint8")}, ActionSpec(1, (2,)))
    context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)
    config = default_registry().config_class("storage", "rollout")()
    storage = context.build(StorageComponent("rollout", config), "storage")
    storage.add_fields({"rewards": TensorSpec(()), "actions": TensorSpec((1,), "int64"), "extra": TensorSpec((2, 2))})
    return storage


def fill(storage, invalid=()):
    """Write a rollout in which every row holds its own number, t * N + n."""
    for t in range(T):
        numbers = t * N + torch.arange(N)
        obs = {"policy": numbers.float().unsqueeze(1).expand(N, 2), "image": numbers.view(N, 1, 1).expand(N, 3, 3)}
        storage.write_obs(TensorDict(obs, batch_size=[N]))
        storage.write("rewards", numbers.float())
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
    assert observations["image"].dtype == torch.uint8
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
        assert torch.equal(batch.obs["image"][:, 2, 0].float(), batch["rewards"])


def test_mini_batches_are_permuted_anew_each_epoch(storage):
    torch.manual_seed(0)
    fill(storage)
    first, second = (batch["rewards"].tolist() for batch in storage.mini_batches(1, 2))
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


@pytest.mark.parametrize("name", ["rewards", "dones"])
def test_add_fields_taken_name_is_refused(storage, name):
    with pytest.raises(ValueError, match=f"^the storage has a field '{name}' already; choose another name$"):
        storage.add_fields({name: TensorSpec(())})
