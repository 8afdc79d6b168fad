"""Advantages against values computed by hand."""

from __future__ import annotations

import pytest
import torch

from rslcore.returns import generalized_advantages, standardize


def advantages(rewards, values, dones, last, final=None, gamma=0.5, lam=0.5):
    rewards = torch.tensor(rewards).unsqueeze(1)
    final = torch.zeros_like(rewards) if final is None else torch.tensor(final).unsqueeze(1)
    result = generalized_advantages(
        rewards,
        torch.tensor(values).unsqueeze(1),
        torch.tensor(dones).unsqueeze(1),
        torch.tensor([last]),
        final,
        gamma,
        lam,
    )
    return result.squeeze(1)


def test_generalized_advantages_without_an_end():
    # delta = [1 + 0.5*4 - 2, 2 + 0.5*8 - 4] = [1, 2]; A_1 = 2, A_0 = 1 + 0.25 * 2 = 1.5
    result = advantages([1.0, 2.0], [2.0, 4.0], [False, False], 8.0)
    torch.testing.assert_close(result, torch.tensor([1.5, 2.0]))


def test_generalized_advantages_termination_is_worth_nothing_and_cuts():
    # delta_0 = 1 - 2 = -1, nothing of what follows; A_1 = 2 + 0.5*8 - 4 = 2
    result = advantages([1.0, 2.0], [2.0, 4.0], [True, False], 8.0)
    torch.testing.assert_close(result, torch.tensor([-1.0, 2.0]))


def test_generalized_advantages_truncation_is_worth_the_final_value_and_cuts():
    # delta_0 = 1 + 0.5 * 6 - 2 = 2: the value of the final observation, not that of the next episode's first
    result = advantages([1.0, 2.0], [2.0, 4.0], [True, False], 8.0, final=[6.0, 0.0])
    torch.testing.assert_close(result, torch.tensor([2.0, 2.0]))


def test_generalized_advantages_lambda_one_is_the_discounted_return():
    result = advantages([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [False, False, True], 5.0, gamma=0.5, lam=1.0)
    torch.testing.assert_close(result, torch.tensor([1.75, 1.5, 1.0]))


def test_generalized_advantages_envs_do_not_mix():
    rewards = torch.tensor([[1.0, 10.0], [1.0, 10.0]])
    zeros = torch.zeros(2, 2)
    result = generalized_advantages(rewards, zeros, zeros.bool(), torch.zeros(2), zeros, 1.0, 1.0)
    torch.testing.assert_close(result, torch.tensor([[2.0, 20.0], [1.0, 10.0]]))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("values", {"values": (3, 1)}),
        ("dones", {"dones": (2,)}),
        ("final_values", {"final_values": (1, 2)}),
    ],
)
def test_generalized_advantages_wrong_shape_is_named(name, shapes):
    arguments = {key: torch.zeros(shapes.get(key, (2, 1))) for key in ("rewards", "values", "dones", "final_values")}
    message = rf"^{name} are \[.*\] and rewards \[2, 1\]; both should be \[T, N\]$"
    with pytest.raises(ValueError, match=message):
        generalized_advantages(**arguments, last_values=torch.zeros(1), gamma=1.0, lam=1.0)


def test_generalized_advantages_wrong_last_values_are_named():
    zeros = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"^last_values are \[2\], they should be \[3\]$"):
        generalized_advantages(zeros, zeros, zeros.bool(), torch.zeros(2), zeros, 1.0, 1.0)


def test_standardize_by_hand():
    # mean 2, standard deviation (n - 1) 1
    torch.testing.assert_close(standardize(torch.tensor([1.0, 2.0, 3.0])), torch.tensor([-1.0, 0.0, 1.0]))


def test_standardize_over_some_elements_only():
    result = standardize(torch.tensor([1.0, 2.0, 3.0, 100.0]), over=torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(result, torch.tensor([-1.0, 0.0, 1.0, 98.0]))
