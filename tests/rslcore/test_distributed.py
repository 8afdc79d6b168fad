"""What ranks do together, against values computed by hand; with one of them, everything is as it was given."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from rslcore.distributed import (
    alone,
    average_gradients,
    average_gradients_of,
    copy_from_main,
    from_main,
    gather,
    gather_on_main,
    is_main,
    mean_over_ranks,
    merged_moments,
    num_ranks,
    rank,
    row_weight,
    sum_over_ranks,
)


def device():
    return torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")


def test_one_rank_gets_what_it_gave():
    tensor = torch.tensor([1.0, 2.0])
    assert (num_ranks(), rank(), is_main()) == (1, 0, True)
    assert sum_over_ranks(tensor) is tensor
    assert mean_over_ranks(tensor[0], 7) == 1.0
    assert row_weight(7, tensor.device) == 1.0
    assert gather("x") == gather_on_main("x") == ["x"]
    assert from_main("x") == "x"
    parameter = nn.Parameter(tensor.clone())
    parameter.sum().backward()
    average_gradients([parameter])
    copy_from_main([parameter])
    assert parameter.grad.tolist() == [1.0, 1.0]
    assert parameter.tolist() == [1.0, 2.0]


def test_one_rank_has_the_moments_of_its_rows():
    rows = torch.tensor([[1.0, 4.0], [3.0, 4.0]])
    count, mean, variance = merged_moments(rows)
    assert (int(count), mean.tolist(), variance.tolist()) == (2, [2.0, 4.0], [1.0, 0.0])
    count, mean, variance = merged_moments(rows[:0])
    assert (int(count), mean.tolist(), variance.tolist()) == (0, [0.0, 0.0], [0.0, 0.0])


def sums():
    given = torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device()) * (rank() + 1)
    total = sum_over_ranks(given)
    # The memory of a transposed tensor lies in another order, of one rank only.
    other = sum_over_ranks(given.t() if rank() else given.t().contiguous())
    return num_ranks(), rank(), is_main(), given.tolist(), total.tolist(), other.tolist(), total.requires_grad


def test_sum_over_ranks(two_ranks):
    total, turned = [[3.0, 6.0], [9.0, 12.0]], [[3.0, 9.0], [6.0, 12.0]]
    assert two_ranks.run(sums) == [
        (2, 0, True, [[1.0, 2.0], [3.0, 4.0]], total, turned, False),
        (2, 1, False, [[2.0, 4.0], [6.0, 8.0]], total, turned, False),
    ]


def means():
    own = torch.tensor([2.0, 5.0][rank()], device=device(), requires_grad=True)
    return [
        mean_over_ranks(own, [3, 1][rank()]).item(),
        mean_over_ranks(own, torch.tensor([0, 4][rank()], device=device())).item(),
        row_weight([3, 1][rank()], device()).item(),
        row_weight(7, device()).item(),
    ]


def test_means_and_weights_are_those_of_rows(two_ranks):
    # (3 * 2 + 1 * 5) / 4, and one rank without a row; a weight is the share of the rows, times the number of ranks.
    assert two_ranks.run(means) == [[2.75, 5.0, 1.5, 1.0], [2.75, 5.0, 0.5, 1.0]]


ROWS = torch.tensor([[1.0, -1.0], [2.0, 0.5], [6.0, 3.0], [7.0, 3.5], [9.0, 4.0]])


def moments(first, offset):
    rows = ROWS.to(device()) + offset
    count, mean, variance = merged_moments(rows[:first] if is_main() else rows[first:])
    return int(count), (mean - offset).tolist(), variance.tolist(), mean.dtype


@pytest.mark.parametrize("first", [0, 2, 5])
@pytest.mark.parametrize("offset", [0.0, 4096.0])  # at which the rows are exact in single precision
def test_moments_of_all_rows_are_merged(two_ranks, first, offset):
    for count, mean, variance, dtype in two_ranks.run(moments, first, offset):
        assert (count, dtype) == (5, torch.float32)
        # Columns sum up to 25 and 10; their squared deviations from 5 and 2 are 46 and 18.5.
        assert mean == [5.0, 2.0]
        assert variance == pytest.approx([9.2, 3.7], rel=1e-6)


def moments_of_nothing():
    scalar = merged_moments(torch.arange(4.0, device=device())[: 4 * rank()])
    rows = merged_moments(torch.zeros(0, 3, device=device()))
    return [value.tolist() for value in (*scalar, *rows)]


def test_moments_of_nothing_are_zero(two_ranks):
    assert two_ranks.run(moments_of_nothing) == [[4.0, 1.5, 1.25, 0.0, [0.0] * 3, [0.0] * 3]] * 2


def gradients():
    first, second, unused = (nn.Parameter(torch.ones(2, device=device())) for _ in range(3))
    loss = (rank() + 1.0) * first.sum()
    if rank() == 1:  # a part of the networks that only some rows go through
        loss = loss + 4.0 * second[0]
    loss.backward()
    average_gradients(parameter for parameter in (first, second, unused))
    return [parameter.grad.tolist() for parameter in (first, second, unused)]


def test_gradients_are_averaged_and_one_that_is_missing_counts_as_zero(two_ranks):
    assert two_ranks.run(gradients) == [[[1.5, 1.5], [2.0, 0.0], [0.0, 0.0]]] * 2


def copies():
    own = nn.Linear(2, 2, device=device())
    nn.init.constant_(own.weight, rank() + 1.0)
    flags = torch.tensor([rank() == 0], device=device())
    copy_from_main([*own.parameters(), flags])
    return own.weight.tolist(), flags.tolist(), own.weight.requires_grad


def test_main_is_copied(two_ranks):
    assert two_ranks.run(copies) == [([[1.0, 1.0], [1.0, 1.0]], [True], True)] * 2


def objects():
    own = {"rank": rank(), "tensor": torch.arange(3) * rank()}
    everyones = gather(own)
    at_main = gather_on_main("x" * (rank() + 1))
    return [each["rank"] for each in everyones], everyones[1]["tensor"].tolist(), at_main, from_main(own)["rank"]


def test_objects_are_gathered_and_handed_out(two_ranks):
    assert two_ranks.run(objects) == [([0, 1], [0, 1, 2], ["x", "xx"], 0), ([0, 1], [0, 1, 2], [], 0)]


def act_alone():
    """Only rank 0 does something; nobody waits for the other."""
    if rank() == 0:
        with alone():
            assert (num_ranks(), rank(), gather(1)) == (1, 0, [1])
            assert sum_over_ranks(torch.ones(1)).item() == 1.0
    return num_ranks(), gather(rank())


def test_rank_may_do_something_alone(two_ranks):
    assert two_ranks.run(act_alone) == [(2, [0, 1])] * 2


def die_before(call):
    if rank() == 1:
        os._exit(3)
    CALLS[call]()


CALLS = {
    "sum": lambda: sum_over_ranks(torch.ones(2, device=device())),
    "copy": lambda: copy_from_main([torch.ones(2, device=device())]),
    "gather": lambda: gather(1),
    "gather_on_main": lambda: gather_on_main(1),
    "from_main": lambda: (from_main(1), gather(1)),
    "average_gradients_of": lambda: average_gradients_of(nn.Linear(1, 1, device=device())),
}


@pytest.mark.parametrize("call", CALLS)
def test_lost_rank_is_told(two_ranks, call):
    left, dead = two_ranks.outcomes(die_before, call)
    assert dead.error == "the process ended with exit code 3"
    assert left.error == "LostRankError: rank 0 ends because another rank has ended"


def die_in_backward():
    module = average_gradients_of(nn.Linear(1, 1, device=device()))
    loss = module(torch.ones(1, 1, device=device())).sum()
    if rank() == 1:
        os._exit(3)
    loss.backward()


def test_lost_rank_is_told_where_gradients_wait_for_it(two_ranks):
    left, _ = two_ranks.outcomes(die_in_backward)
    assert left.error == "LostRankError: rank 0 ends because another rank has ended"


def average_through_module():
    """A parameter that takes part in the loss of rank 1 only, and one that takes part in none."""
    own = nn.ModuleDict({name: nn.Linear(1, 1, bias=False, device=device()) for name in ("both", "one", "never")})

    class Loss(nn.Module):
        def __init__(self):
            super().__init__()
            self.own = own

        def forward(self, scale):
            loss = scale * own["both"].weight.sum()
            return loss + 4.0 * own["one"].weight.sum() if rank() == 1 else loss

    module = average_gradients_of(Loss())
    module(rank() + 1.0).backward()
    return [None if each.weight.grad is None else each.weight.grad.item() for each in own.values()]


def test_gradients_through_a_module_are_averaged(two_ranks):
    assert two_ranks.run(average_through_module) == [[1.5, 2.0, None]] * 2
    # As it is with one rank.
    module = nn.Linear(1, 1)
    assert average_gradients_of(module) is module
