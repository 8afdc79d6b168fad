"""Whether an algorithm goes on where it stopped, with the episodes that were running and with new ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rslcore.protocols import Algorithm
from rslcore.seeding import seed_everything
from rslcore.testing.driving import Drive
from rslcore.testing.values import copied, difference, expect, expect_plain_state, through_a_file

WHERE = "put what is missing into `state_dict`, or, what this process alone has, into `local_state_dict`."


def expect_goes_on(start: Callable[..., Drive], what: str) -> None:
    """Fail unless a fresh algorithm with what was saved does all that the one does which was never stopped.

    Both act on the same observations and are given the same steps, so that an env need not be saved.
    """
    old, new = start(seed=1), start(seed=2)
    old.iterate(2)
    _load(new.algorithm, *_saved(old.algorithm), same_episodes=True)
    for iteration in (2, 3):
        results = _iterate_both(old, new.algorithm, iteration)
        gap = difference(*results)
        expect(
            gap is None,
            f"{what} goes on as if it had never been stopped. Saved and loaded, it differed: {gap}; {WHERE}",
        )


def expect_begins_anew(start: Callable[..., Drive], what: str) -> None:
    """Fail unless a fresh algorithm goes on with new episodes, of which it remembers nothing."""
    old = start(seed=1)
    old.iterate(2)
    state, local_state = _saved(old.algorithm)
    first, second, without = (start(seed=seed) for seed in (2, 3, 4))
    for driven in (first, second):
        _load(driven.algorithm, state, local_state, same_episodes=False)
    without.algorithm.load_state_dict(state)
    results = []
    for driven in (first, second, without):
        driven.iteration = 2
        seed_everything(7)
        actions = driven.collect()
        metrics = driven.algorithm.update(driven.obs)
        results.append(copied({"actions": actions, "metrics": metrics, "state": driven.algorithm.state_dict()}))
    gap = difference(results[0], results[1])
    expect(gap is None, f"{what} that goes on with new episodes is the same each time. Two differed: {gap}; {WHERE}")
    gap = difference(results[2]["actions"][0], results[0]["actions"][0])
    expect(
        gap is None,
        "Without `same_episodes`, nothing is remembered of episodes: the first actions are those without a local "
        f"state. They differed: {gap}; leave out in `load_local_state_dict` what is of episodes.",
    )


def _saved(algorithm: Algorithm) -> tuple[Any, Any]:
    state, local_state = algorithm.state_dict(), algorithm.local_state_dict()
    for each in (state, local_state):
        expect_plain_state(each, type(algorithm).__name__)
    return through_a_file(state), through_a_file(local_state)


def _load(algorithm: Algorithm, state: Any, local_state: Any, same_episodes: bool) -> None:
    algorithm.load_state_dict(state)
    algorithm.load_local_state_dict(local_state, same_episodes)


def _iterate_both(driven: Drive, other: Algorithm, iteration: int) -> tuple[Any, Any]:
    """An iteration of two algorithms in one env, with equal random numbers; what each did, and what it is then."""
    pair = driven.algorithm, other
    actions: list[list[Any]] = [[], []]
    for algorithm in pair:
        algorithm.start_iteration(iteration, 100)
    for number in range(driven.num_steps):
        for algorithm, taken in zip(pair, actions, strict=True):
            seed_everything(number)
            with algorithm.rollout_context():
                taken.append(algorithm.act(driven.obs))
        step = driven.env.step(actions[0][-1])
        for algorithm in pair:
            seed_everything(number)
            with algorithm.rollout_context():
                algorithm.process_env_step(step)
        driven.obs = step.obs
    results = []
    for algorithm, taken in zip(pair, actions, strict=True):
        seed_everything(driven.num_steps)
        metrics = algorithm.update(driven.obs)
        state = {"state": algorithm.state_dict(), "local_state": algorithm.local_state_dict()}
        results.append(copied({"actions": taken, "metrics": metrics, **state}))
    return results[0], results[1]
