"""Observation groups as inputs."""

from __future__ import annotations

import torch
from tensordict import TensorDict

from rslcore.observations import join_valid

FIRST, SECOND = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])


def test_join_valid_of_transitions_alone_is_all_rows():
    assert join_valid([(FIRST, None), (SECOND, None)]).flatten().tolist() == [0.0, 1.0, 2.0, 3.0]


def test_join_valid_leaves_out_what_is_no_transition():
    steps = [(FIRST, None), (SECOND, torch.tensor([False, True]))]
    assert join_valid(steps).flatten().tolist() == [0.0, 1.0, 3.0]
    joined = join_valid([(TensorDict({"policy": rows}, batch_size=[2]), valid) for rows, valid in steps])
    assert joined["policy"].flatten().tolist() == [0.0, 1.0, 3.0]
