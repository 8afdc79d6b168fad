"""Bad rows as rows that are no transitions."""

from __future__ import annotations

import math

import pytest
import torch
from tensordict import TensorDict

from rslcore.protocols import EnvStep
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.watch.cleaning import Cleaner
from rslcore.watch.numbers import row_sums

SPEC = EnvSpec(3, {"policy": TensorSpec((2,)), "camera": TensorSpec((1,), "uint8")}, ActionSpec(1))
NAN = math.nan


def make_obs(number, bad=()):
    """Observations that are full of a number, but for bad rows."""
    policy = torch.full((3, 2), float(number))
    policy[list(bad), 1] = NAN
    return TensorDict({"policy": policy, "camera": torch.full((3, 1), number, dtype=torch.uint8)}, batch_size=[3])


def flags(*envs):
    return torch.tensor([index in envs for index in range(3)])


def make_step(number, bad=(), **changes):
    fields = {"rewards": torch.full((3,), float(number)), "terminated": flags(), "truncated": flags()}
    return EnvStep(obs=make_obs(number, bad), **{**fields, **changes})


@pytest.fixture
def cleaner():
    cleaner = Cleaner(SPEC, ("policy",))
    obs = make_obs(1)
    assert cleaner.begin(obs, row_sums(obs, ["policy"]))["policy"].tolist() == obs["policy"].tolist()
    return cleaner


def clean(cleaner, step, actions=None):
    return cleaner.clean(torch.zeros(3, 1) if actions is None else actions, step, row_sums(step.obs, ["policy"]))


def test_begin_puts_zeros_where_nothing_was_good_before():
    cleaner = Cleaner(SPEC, ("policy",))
    obs = make_obs(5, bad=[1])
    assert cleaner.begin(obs, row_sums(obs, ["policy"]))["policy"].tolist() == [[5.0, 5.0], [0.0, 0.0], [5.0, 5.0]]
    assert clean(cleaner, make_step(6)).valid.tolist() == [True, False, True]


def test_clean_leaves_a_good_step_as_it_is(cleaner):
    step = make_step(2, terminated=flags(0), truncated=flags(1), final_obs=make_obs(7))
    cleaned = clean(cleaner, step)
    for name in ("rewards", "terminated", "truncated", "dones"):
        assert getattr(cleaned, name).tolist() == getattr(step, name).tolist()
    assert cleaned.obs["policy"].tolist() == step.obs["policy"].tolist()
    assert cleaned.final_obs["camera"].tolist() == [[7]] * 3
    assert cleaned.valid.all()


def test_clean_holds_the_last_good_observation(cleaner):
    clean(cleaner, make_step(2))
    first, second, third = (clean(cleaner, step) for step in (make_step(3, [1]), make_step(4, [1]), make_step(5)))
    assert first.obs["policy"][:, 0].tolist() == [3.0, 2.0, 3.0]
    assert first.obs["camera"][:, 0].tolist() == [3, 2, 3]  # what belongs together stays together
    assert second.obs["policy"][:, 0].tolist() == [4.0, 2.0, 4.0]
    assert third.obs["policy"][:, 0].tolist() == [5.0, 5.0, 5.0]
    # The last of them was acted on an observation that the env has not given.
    assert [step.valid.tolist() for step in (first, second, third)] == [[True, False, True]] * 3
    assert clean(cleaner, make_step(6)).valid.all()


def test_clean_puts_zero_for_a_reward_and_goes_on(cleaner):
    step = clean(cleaner, make_step(2, rewards=torch.tensor([1.0, math.inf, 1.0])))
    assert step.rewards.tolist() == [1.0, 0.0, 1.0]
    assert step.valid.tolist() == [True, False, True]
    assert clean(cleaner, make_step(3)).valid.all()


def test_clean_takes_an_exploded_action_for_no_transition(cleaner):
    step = clean(cleaner, make_step(2), torch.tensor([[1.0], [NAN], [2e6]]))
    assert step.valid.tolist() == [True, False, False]


def test_clean_takes_no_word_for_the_end_of_a_bad_row(cleaner):
    step = clean(cleaner, make_step(2, terminated=flags(0, 1), final_obs=make_obs(9, bad=[1])))
    assert step.final_obs["policy"][:, 0].tolist() == [9.0, 1.0, 9.0]
    assert (step.terminated.tolist(), step.truncated.tolist()) == ([True, False, False], [False, True, False])
    assert step.valid.tolist() == [True, False, True]
    assert clean(cleaner, make_step(3)).valid.all()  # the new episode began with good numbers


def test_clean_keeps_rows_invalid_that_the_env_said_were(cleaner):
    step = clean(cleaner, make_step(2, [0], valid=~flags(2)))
    assert step.valid.tolist() == [False, True, False]


def test_clean_reads_nothing(cleaner, count_reads):
    steps = [make_step(number, [number % 3], final_obs=make_obs(9, bad=[1])) for number in range(4)]
    assert count_reads(lambda: [clean(cleaner, step) for step in steps]) == 0


def test_restart_ends_the_episodes_of_envs_that_were_reset(cleaner):
    step = clean(cleaner, make_step(2, [1], terminated=flags(0)))
    obs = make_obs(8)
    step = cleaner.restart(step, flags(1), obs, row_sums(obs, ["policy"]))
    assert step.obs["policy"][:, 0].tolist() == [2.0, 8.0, 2.0]
    assert (step.terminated.tolist(), step.truncated.tolist()) == ([True, False, False], [False, True, False])
    assert step.valid.tolist() == [True, False, True]
    assert step.resets.tolist() == [True, True, False]
    assert clean(cleaner, make_step(3)).valid.all()


def test_restart_of_an_env_that_is_still_bad_holds_what_was_there(cleaner):
    step = clean(cleaner, make_step(2, [1]))
    obs = make_obs(8, bad=[1])
    step = cleaner.restart(step, flags(1), obs, row_sums(obs, ["policy"]))
    assert step.obs["policy"][:, 0].tolist() == [2.0, 1.0, 2.0]
    assert clean(cleaner, make_step(3)).valid.tolist() == [True, False, True]
