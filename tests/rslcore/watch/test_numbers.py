"""The numbers of a rollout, noted step by step and looked at once."""

from __future__ import annotations

import math
import weakref

import attrs
import pytest
import torch
from tensordict import TensorDict

from rslcore.protocols import EnvStep
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.watch.evidence import KeptSteps
from rslcore.watch.numbers import Finding, RolloutNumbers, row_sums

GROUPS = {"policy": TensorSpec((2,)), "depth": TensorSpec((1, 3, 3), "float16"), "camera": TensorSpec((4,), "uint8")}
SPEC = EnvSpec(3, GROUPS, ActionSpec(2))
NAN, INF = math.nan, math.inf


def make_obs(policy=None, depth=None):
    return TensorDict(
        {
            "policy": torch.zeros(3, 2) if policy is None else policy,
            "depth": torch.full((3, 1, 3, 3), 60_000.0, dtype=torch.float16) if depth is None else depth,
            "camera": torch.full((3, 4), 255, dtype=torch.uint8),
        },
        batch_size=[3],
    )


def make_step(**changes):
    flags = torch.zeros(3, dtype=torch.bool)
    return EnvStep(**{"obs": make_obs(), "rewards": torch.zeros(3), "terminated": flags, "truncated": flags, **changes})


def note(numbers, steps, actions=None):
    """A rollout of these steps."""
    numbers.begin(row_sums(make_obs(), numbers.groups))
    for step in steps:
        numbers.note(torch.zeros(3, 2) if actions is None else actions, step, row_sums(step.obs, numbers.groups))
    return numbers


def test_find_among_finite_numbers_finds_nothing():
    # Half precision holds no sum of these nine numbers, single precision does.
    assert note(RolloutNumbers(SPEC), [make_step()] * 4).find() == []


def test_find_reads_once_if_nothing_is_wrong(count_reads):
    numbers = note(RolloutNumbers(SPEC), [make_step()] * 4)
    assert count_reads(numbers.find) == 1


def test_note_reads_nothing(count_reads):
    numbers = RolloutNumbers(SPEC)
    step = make_step(final_obs=make_obs())
    assert count_reads(lambda: note(numbers, [step] * 4)) == 0


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_find_names_the_first_step_and_all_envs_in_it(value):
    policy = torch.zeros(3, 2)
    policy[1:, 1] = value
    steps = [make_step(), make_step(), make_step(obs=make_obs(policy=policy)), make_step(), make_step()]
    (finding,) = note(RolloutNumbers(SPEC), steps).find()
    assert (finding.step, finding.what, finding.envs) == (3, "observation group 'policy' is", (1, 2))
    assert repr(finding.value) == repr(value)


def test_find_tells_the_cause_first():
    bad = torch.tensor([0.0, INF, 0.0])
    depth = make_obs()["depth"].clone()
    depth[2, 0, 1, 1] = INF
    actions = torch.tensor([[0.0, 1.0], [2e6, 0.0], [-3e6, 0.0]])
    numbers = note(RolloutNumbers(SPEC), [make_step(), make_step(rewards=bad, obs=make_obs(depth=depth))])
    assert numbers.find() == [
        Finding(2, "observation group 'depth' is", INF, (2,)),
        Finding(2, "rewards are", INF, (1,)),
    ]
    step = make_step(rewards=bad, final_obs=make_obs(depth=depth))
    assert note(numbers, [step], actions).find() == [
        Finding(1, "actions are", 2e6, (1, 2)),
        Finding(1, "group 'depth' of final observations is", INF, (2,)),
        Finding(1, "rewards are", INF, (1,)),
    ]


def test_find_looks_at_what_a_rollout_began_with():
    numbers = RolloutNumbers(SPEC)
    numbers.begin(row_sums(make_obs(policy=torch.full((3, 2), INF)), numbers.groups))
    numbers.note(torch.zeros(3, 2), make_step(), row_sums(make_obs(), numbers.groups))
    assert numbers.find() == [Finding(0, "observation group 'policy' is", INF, (0, 1, 2))]


def test_find_of_large_numbers_whose_sum_is_none_finds_nothing():
    large = make_step(rewards=torch.full((3,), 3e38))
    assert note(RolloutNumbers(SPEC), [large] * 4).find() == []


def test_find_looks_at_no_choices():
    spec = attrs.evolve(SPEC, actions=ActionSpec(2, num_choices=(3, 9_000_000)))
    actions = torch.full((3, 2), 8_000_000)
    assert note(RolloutNumbers(spec), [make_step()], actions).find() == []


def test_begin_forgets_the_rollout_before():
    numbers = note(RolloutNumbers(SPEC), [make_step(rewards=torch.full((3,), NAN))])
    assert numbers.find()
    assert note(numbers, [make_step()]).find() == []


def test_row_sums_of_a_group_of_scalars_are_these():
    obs = TensorDict({"speed": torch.tensor([1.0, NAN, 3.0])}, batch_size=[3])
    torch.testing.assert_close(row_sums(obs, ["speed"])["speed"], obs["speed"], equal_nan=True)


def test_note_keeps_no_graph():
    states = torch.zeros(3, 2, requires_grad=True)
    graph = weakref.ref(states)
    numbers, kept = RolloutNumbers(SPEC), KeptSteps(SPEC, 4)
    step = make_step(obs=make_obs(policy=states * 2.0), rewards=states.sum(1), final_obs=make_obs(policy=states * 3.0))
    note(numbers, [step], actions=states * 1.0)
    kept.begin(make_obs(policy=states * 2.0))
    kept.add(states * 1.0, step)
    del states, step
    assert graph() is None
    assert numbers.find() == []


def test_kept_steps_hold_what_is_saved_and_nothing_else():
    kept = KeptSteps(SPEC, 4)
    extra = torch.zeros(3)
    gone = weakref.ref(extra)
    kept.begin(make_obs())
    kept.add(torch.zeros(3, 2), make_step(extras={"heights": extra}))
    del extra
    assert gone() is None


@pytest.mark.parametrize(("keeps_final_obs", "room"), [(True, 2), (False, 4)])
def test_kept_steps_have_a_limit_that_counts_last_observations(monkeypatch, keeps_final_obs, room):
    size = 3 * (2 * 4 + 9 * 2 + 4)  # of three envs: two singles, nine halves and four bytes
    monkeypatch.setattr("rslcore.watch.evidence.LIMIT", 4 * size)
    kept = KeptSteps(attrs.evolve(SPEC, keeps_final_obs=keeps_final_obs), 6)
    kept.begin(make_obs())
    for _ in range(6):
        kept.add(torch.zeros(3, 2), make_step())
    saved = kept.state_dict([1])
    assert saved["first_step"] == 7 - room
    assert saved["obs"]["policy"].shape == (room + 1, 1, 2)
