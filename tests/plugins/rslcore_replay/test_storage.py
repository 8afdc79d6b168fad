"""The replay: which windows it hands out."""

from __future__ import annotations

import re

import pytest
import torch
from tensordict import TensorDict

from rslcore.config import StorageComponent
from rslcore.context import Context
from rslcore.errors import CheckpointError, ConfigError, ExtensionError
from rslcore.protocols import ReplayStorage, RolloutStorage, Storage
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec

N, GAMMA = 2, 0.5


@pytest.fixture
def make_replay(small_config):
    """A replay of some steps of N envs, with images of bytes."""

    def make(steps=8, *, num_envs=N, **options):
        groups = {"policy": TensorSpec((2,)), "image": TensorSpec((1, 2, 2), "uint8")}
        spec = EnvSpec(num_envs, groups, ActionSpec(1, (2,)))
        context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)
        options = {"capacity": steps * num_envs, **options}
        config = default_registry().config_class("storage", "replay")(**options)
        storage = context.build(StorageComponent("replay", config), "storage")
        storage.add_fields({"actions": TensorSpec((1,), "int64")})
        return storage

    return make


def observation(numbers):
    obs = {"policy": numbers.float().unsqueeze(1).expand(-1, 2), "image": numbers.view(-1, 1, 1, 1).expand(-1, 1, 2, 2)}
    return TensorDict(obs, batch_size=[len(numbers)])


def fill(storage, steps, *, ended=(), terminated=(), invalid=(), num_envs=N):
    """Write steps in which every row holds its own number, t * N + n, as observation and as reward.

    The next observation of a row is its number plus 100. Rows that have ended and those that are invalid are `(t, n)`;
    terminated ones have ended too.
    """
    for t in steps:
        numbers = t * num_envs + torch.arange(num_envs)
        storage.write_obs(observation(numbers))
        storage.write_next_obs(observation(numbers + 100))
        storage.write("actions", numbers.unsqueeze(1))
        storage.write("rewards", numbers.float())
        storage.write("terminated", torch.tensor([(t, n) in terminated for n in range(num_envs)]))
        storage.write("dones", torch.tensor([(t, n) in {*ended, *terminated} for n in range(num_envs)]))
        if any((t, n) in invalid for n in range(num_envs)):
            storage.write_valid(torch.tensor([(t, n) not in invalid for n in range(num_envs)]))
        storage.advance()


def windows(storage, num_steps=1, draws=400):
    """Windows by the number of their first row: `(number of the last row, return, discount)`."""
    batch = storage.sample(draws, num_steps, GAMMA)
    found = {}
    for row in range(draws):
        last = int(batch.next_obs["policy"][row, 0]) - 100
        window = (last, batch.returns[row].item(), batch.discounts[row].item())
        assert found.setdefault(int(batch["rewards"][row]), window) == window
    return found


def test_replay_is_a_replay_and_no_rollout(make_replay):
    storage = make_replay()
    assert isinstance(storage, ReplayStorage)
    assert not isinstance(storage, RolloutStorage)


def test_sample_gives_whole_rows_in_their_own_dtypes(make_replay):
    storage = make_replay()
    fill(storage, range(3))
    batch = storage.sample(50, 1, GAMMA)
    assert len(batch) == batch.num_original == 50
    assert batch["actions"].dtype == torch.int64
    assert batch.obs["image"].dtype == batch.next_obs["image"].dtype == torch.uint8
    assert batch.obs["image"].shape == (50, 1, 2, 2)
    for column in (batch["actions"][:, 0], batch.obs["policy"][:, 1], batch.obs["image"][:, 0, 1, 1], batch.returns):
        assert torch.equal(column.float(), batch["rewards"])
    assert torch.equal(batch.next_obs["policy"][:, 0], batch["rewards"] + 100.0)
    assert torch.equal(batch.next_obs["image"][:, 0, 0, 0].float(), batch["rewards"] + 100.0)


def test_sample_draws_every_row_alike(make_replay):
    torch.manual_seed(0)
    storage = make_replay()
    fill(storage, range(4))
    counts = torch.bincount(storage.sample(8000, 1, GAMMA)["rewards"].long(), minlength=8)
    assert counts.min() > 850
    assert counts.max() < 1150


def test_sample_of_one_step_is_a_transition(make_replay):
    storage = make_replay()
    fill(storage, range(3), ended={(1, 0)}, terminated={(1, 1)})
    expected = {number: (number, float(number), GAMMA) for number in range(6)}
    expected[3] = (3, 3.0, 0.0)  # terminated
    assert windows(storage) == expected


def test_window_of_several_steps_sums_discounted_rewards_of_one_env(make_replay):
    storage = make_replay()
    fill(storage, range(4))
    found = windows(storage, num_steps=3)
    assert found[0] == (4, 0.0 + 0.5 * 2.0 + 0.25 * 4.0, 0.125)
    assert found[1] == (5, 1.0 + 0.5 * 3.0 + 0.25 * 5.0, 0.125)


def test_window_ends_with_the_latest_step(make_replay):
    storage = make_replay()
    fill(storage, range(4))
    found = windows(storage, num_steps=3)
    assert found[4] == (6, 4.0 + 0.5 * 6.0, 0.25)
    assert found[6] == (6, 6.0, 0.5)


def test_window_ends_with_its_episode(make_replay):
    storage = make_replay()
    fill(storage, range(4), ended={(1, 0)}, terminated={(1, 1)})
    found = windows(storage, num_steps=3)
    assert found[0] == (2, 0.0 + 0.5 * 2.0, 0.25)  # truncated: the last observation's value counts
    assert found[1] == (3, 1.0 + 0.5 * 3.0, 0.0)  # terminated: nothing comes
    assert found[2] == (2, 2.0, 0.5)
    assert found[4] == (6, 4.0 + 0.5 * 6.0, 0.25)


def test_window_ends_before_a_row_that_is_no_transition(make_replay):
    storage = make_replay()
    fill(storage, range(4), invalid={(2, 0)})
    found = windows(storage, num_steps=3)
    assert set(found) == {0, 1, 2, 3, 5, 6, 7}
    assert found[0] == (2, 0.0 + 0.5 * 2.0, 0.25)
    assert found[1] == (5, 1.0 + 0.5 * 3.0 + 0.25 * 5.0, 0.125)
    assert found[2] == (2, 2.0, 0.5)


def test_full_ring_writes_over_the_oldest_steps(make_replay):
    storage = make_replay(steps=4)
    fill(storage, range(6))
    assert storage.num_transitions == storage.capacity == 8
    found = windows(storage, num_steps=3)
    assert set(found) == set(range(4, 12))  # steps 2 to 5
    assert found[6] == (10, 6.0 + 0.5 * 8.0 + 0.25 * 10.0, 0.125)  # across the end of the memory
    assert found[8] == (10, 8.0 + 0.5 * 10.0, 0.25)  # not across the latest step, into the oldest


@pytest.mark.parametrize("num_written", [4, 5, 7, 8])
def test_window_as_long_as_the_ring_holds_no_row_twice(make_replay, num_written):
    storage = make_replay(steps=4, num_envs=1)
    fill(storage, range(num_written), num_envs=1)
    oldest = num_written - 4
    assert {first: last for first, (last, _, _) in windows(storage, num_steps=6).items()} == dict.fromkeys(
        range(oldest, num_written), num_written - 1
    )


def test_rows_that_were_no_transitions_are_transitions_once_they_are_written_over(make_replay):
    storage = make_replay(steps=4)
    fill(storage, range(4), invalid={(1, 0)})
    assert 2 not in windows(storage)
    fill(storage, range(4, 6))
    assert set(windows(storage)) == set(range(4, 12))


def test_sample_reads_nothing_on_the_host(make_replay, count_reads):
    storage = make_replay(steps=4)
    fill(storage, range(6), terminated={(3, 1)})
    assert count_reads(lambda: storage.sample(16, 3, GAMMA)) == 0


def test_nothing_is_allocated_before_the_first_write(make_replay):
    storage = make_replay(capacity=10**12)
    assert storage.state_dict() == {}
    assert storage.num_transitions == 0


def test_capacity_below_a_step_is_refused(make_replay):
    with pytest.raises(ConfigError, match=r"^storage\.capacity: 1 has no room for a step of all 2 envs; give more$"):
        make_replay(capacity=1)


@pytest.mark.parametrize("name", ["rewards", "terminated", "actions", "valid", "obs/policy"])
def test_field_that_is_there_is_refused(make_replay, name):
    with pytest.raises(ExtensionError, match=f"^the storage has a field '{name}' already; choose another name$"):
        make_replay().add_fields({name: TensorSpec(())})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda storage: storage.write("action", torch.zeros(N, 1)),
            "the storage has no column 'action', which `fields` must declare; did you mean 'actions'?",
        ),
        (
            lambda storage: storage.write("rewards", torch.zeros(N, 1)),
            "column 'rewards' has rows of shape [2], not [2, 1]",
        ),
        (
            lambda storage: storage.write_next_obs(observation(torch.zeros(1))),
            "column 'next_obs/policy' has rows of shape [2, 2], not [1, 2]",
        ),
        (
            lambda storage: storage.write_obs(TensorDict({"image": torch.zeros(N, 1, 2, 2)}, batch_size=[N])),
            "there is no observation group 'policy' though the env declares it",
        ),
    ],
)
def test_write_that_does_not_fit_is_refused(make_replay, write, message):
    with pytest.raises(ExtensionError, match=f"^{re.escape(message)}$"):
        write(make_replay())


def test_state_is_empty_by_default(make_replay):
    storage = make_replay()
    fill(storage, range(3))
    assert storage.state_dict() == {}
    storage.load_state_dict({}, same_episodes=True)
    assert storage.num_transitions == 6


@pytest.mark.parametrize("same_episodes", [True, False], ids=["same", "new"])
@pytest.mark.parametrize("num_written", [3, 4, 6])
def test_saved_state_goes_on_with_the_episodes_or_with_new_ones(make_replay, num_written, same_episodes):
    storage, restored = make_replay(steps=4, save=True), make_replay(steps=4, save=True)
    fill(storage, range(num_written), terminated={(2, 1)})
    restored.load_state_dict(storage.state_dict(), same_episodes)
    assert restored.num_transitions == storage.num_transitions
    assert restored.state_dict().keys() == storage.state_dict().keys()
    assert windows(restored, num_steps=3) == windows(storage, num_steps=3)
    fill(storage, [num_written])
    fill(restored, [num_written])
    first = (num_written - 1) * N
    after = first + N
    into_the_next = (after, first + 0.5 * after, 0.25)
    assert windows(storage, num_steps=3)[first] == into_the_next
    assert windows(restored, num_steps=3)[first] == (into_the_next if same_episodes else (first, float(first), 0.5))


@pytest.mark.parametrize("num_written", [3, 4, 6])
def test_saved_state_draws_the_same_rows(make_replay, num_written):
    storage, restored = make_replay(steps=4, save=True), make_replay(steps=4, save=True)
    fill(storage, range(num_written), ended={(num_written - 1, 1)})
    restored.load_state_dict(storage.state_dict(), same_episodes=True)
    drawn = []
    for replay in (storage, restored):
        fill(replay, [num_written])
        torch.manual_seed(1)
        drawn.append(replay.sample(50, 3, GAMMA))
    assert torch.equal(drawn[0]["rewards"], drawn[1]["rewards"])
    assert torch.equal(drawn[0].returns, drawn[1].returns)


@pytest.mark.parametrize("num_written", [3, 6])
def test_state_that_was_loaded_is_saved_again_before_anything_is_written(make_replay, num_written):
    storage, restored = make_replay(steps=4, save=True), make_replay(steps=4, save=True)
    fill(storage, range(num_written))
    state = storage.state_dict()
    restored.load_state_dict(state, same_episodes=True)
    again = restored.state_dict()
    assert again["step"] == state["step"]
    for name, column in state["columns"].items():
        assert torch.equal(again["columns"][name], column)


def test_saved_state_keeps_which_rows_are_no_transitions(make_replay):
    storage, restored = make_replay(save=True), make_replay()
    fill(storage, range(3), invalid={(1, 1)})
    restored.load_state_dict(storage.state_dict(), same_episodes=True)
    assert set(windows(restored)) == {0, 1, 2, 4, 5}


def test_smaller_ring_takes_the_latest_of_a_saved_state(make_replay):
    storage, smaller = make_replay(save=True), make_replay(steps=2)
    fill(storage, range(5))
    smaller.load_state_dict(storage.state_dict(), same_episodes=True)
    assert set(windows(smaller)) == set(range(6, 10))
    fill(smaller, [5])
    assert set(windows(smaller)) == set(range(8, 12))


def test_saved_state_of_other_envs_is_refused(make_replay):
    storage = make_replay(save=True)
    fill(storage, range(2))
    with pytest.raises(CheckpointError, match=r"replay\.actions is \[2, 1\] in the checkpoint and \[3, 1\] here"):
        make_replay(num_envs=3).load_state_dict(storage.state_dict(), same_episodes=True)


def test_protocol_has_all_that_the_replay_offers(make_replay):
    public = {name for name in dir(make_replay()) if not name.startswith("_")}
    protocol = {*vars(Storage), *vars(ReplayStorage)}
    assert public <= protocol
