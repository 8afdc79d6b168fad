"""The ring of past transitions."""

from __future__ import annotations

import pytest
import torch

from rslcore_amp.replay import ReplayBuffer

CPU = torch.device("cpu")


def rows(*numbers):
    return torch.tensor(numbers, dtype=torch.float32).reshape(-1, 1, 1).expand(-1, 2, 1)


def held(buffer):
    """What a buffer holds, the oldest first."""
    state = buffer.state_dict()
    return state["rows"][:, 0, 0].roll(-state["next"]).tolist()


def test_add_keeps_all_while_there_is_room():
    buffer = ReplayBuffer(4, 1, CPU)
    buffer.add(rows(1, 2))
    buffer.add(rows(3))
    assert (len(buffer), held(buffer)) == (3, [1.0, 2.0, 3.0])


def test_add_to_a_full_buffer_replaces_the_oldest():
    buffer = ReplayBuffer(4, 1, CPU)
    for numbers in ((1, 2, 3), (4, 5, 6)):
        buffer.add(rows(*numbers))
    assert (len(buffer), held(buffer)) == (4, [3.0, 4.0, 5.0, 6.0])


def test_add_more_than_it_holds_keeps_a_choice_without_repetition():
    buffer = ReplayBuffer(4, 1, CPU)
    buffer.add(rows(*range(100)))
    assert len(set(held(buffer))) == len(buffer) == 4


def test_add_nothing_changes_nothing():
    buffer = ReplayBuffer(4, 1, CPU)
    buffer.add(rows())
    assert len(buffer) == 0


def test_sample_draws_from_what_is_there_and_nothing_else():
    buffer = ReplayBuffer(8, 1, CPU)
    buffer.add(rows(1, 2, 3))
    drawn = buffer.sample(200)
    assert drawn.shape == (200, 2, 1)
    assert set(drawn.flatten().tolist()) == {1.0, 2.0, 3.0}


@pytest.mark.parametrize("numbers", [(1, 2), (1, 2, 3, 4, 5, 6)], ids=["room", "full"])
def test_load_state_dict_goes_on_as_if_nothing_had_happened(numbers):
    buffer, restored = ReplayBuffer(4, 1, CPU), ReplayBuffer(4, 1, CPU)
    for number in numbers:
        buffer.add(rows(number))
    restored.load_state_dict(buffer.state_dict())
    drawn = []
    for each in (buffer, restored):
        each.add(rows(9))
        torch.manual_seed(1)
        drawn.append(each.sample(20).flatten().tolist())
    assert held(restored) == held(buffer)
    assert drawn[0] == drawn[1]


def test_load_state_dict_of_a_larger_buffer_keeps_the_newest():
    buffer, smaller = ReplayBuffer(4, 1, CPU), ReplayBuffer(2, 1, CPU)
    buffer.add(rows(1, 2, 3))
    smaller.load_state_dict(buffer.state_dict())
    assert held(smaller) == [2.0, 3.0]


def test_load_state_dict_of_a_smaller_buffer_keeps_all():
    buffer, larger = ReplayBuffer(4, 1, CPU), ReplayBuffer(6, 1, CPU)
    for number in range(6):
        buffer.add(rows(number))
    larger.load_state_dict(buffer.state_dict())
    larger.add(rows(6))
    assert held(larger) == [2.0, 3.0, 4.0, 5.0, 6.0]
