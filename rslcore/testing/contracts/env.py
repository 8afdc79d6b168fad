"""What an env promises.

Legend: N envs, A actions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import attrs
import pytest
import torch
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import CheckpointError
from rslcore.protocols import Env, EnvStep, PartialResetEnv, RandomStartEnv, StatefulEnv
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.driving import make_env
from rslcore.testing.env_checks import expect_flags, expect_observations, random_actions
from rslcore.testing.module_checks import expect_unchanged
from rslcore.testing.values import (
    copied,
    difference,
    expect,
    expect_plain_state,
    reason,
    shown,
    through_a_file,
)


class EnvContract(Contract):
    """Of envs. Override `num_steps` for an env whose episodes are longer than 600 steps."""

    kind: ClassVar[str] = "env"

    @pytest.fixture
    def env(self, component: Options) -> Options:
        """The component."""
        return component

    @pytest.fixture
    def num_steps(self) -> int:
        """Steps in which an episode of some env should end."""
        return 600

    @pytest.fixture
    def built(self, context: Context) -> Iterator[Env]:
        """The env, fresh."""
        with contextlib.closing(make_env(context)) as env:
            yield env

    @pytest.fixture
    def another(self, context: Context) -> Iterator[Callable[[], Env]]:
        """Makes further ones with the same seed."""
        with contextlib.ExitStack() as stack:
            yield lambda: stack.enter_context(contextlib.closing(make_env(context)))

    def test_observations_are_what_the_spec_says(self, built: Env) -> None:
        """After `reset` and after `step`."""
        expect_observations(built.reset(), built.spec, "`reset`")
        expect_observations(built.step(random_actions(built.spec)).obs, built.spec, "`step`")

    def test_a_step_is_a_row_of_each(self, built: Env) -> None:
        """Rewards `[N]` float32, flags `[N]` bool."""
        built.reset()
        actions = random_actions(built.spec)
        before = copied(actions)
        step = built.step(actions)
        expect_unchanged(before, actions, "`step`")
        num = built.spec.num_envs
        flags = {"terminated": step.terminated, "truncated": step.truncated}
        flags |= {} if step.valid is None else {"valid": step.valid}
        for name, value in {"rewards": step.rewards, **flags}.items():
            dtype = torch.float32 if name == "rewards" else torch.bool
            expect(
                tuple(value.shape) == (num,) and value.dtype == dtype,
                f"`{name}` of a step is [{num}] {str(dtype).removeprefix('torch.')}. It is {shown(value)}; convert "
                "it in `step`.",
            )
        expect(bool(step.rewards.isfinite().all()), "Rewards are finite numbers. Some are not.")
        for name, value in step.extras.get("log", {}).items():
            expect(
                not isinstance(value, Tensor) or value.numel() > 0,
                f"`extras[\"log\"]` holds numbers by name. '{name}' is {shown(value)}.",
            )

    def test_tensors_belong_to_the_caller(self, built: Env) -> None:
        """What was given stays as it was when the env goes on."""
        kept: list[tuple[Any, Any]] = [(obs := built.reset(), copied(obs))]
        for _ in range(5):
            step = built.step(random_actions(built.spec))
            kept += [(value, copied(value)) for value in (step.obs, step.rewards, step.terminated, step.truncated)]
            kept += [(step.final_obs, copied(step.final_obs))] if step.final_obs is not None else []
        for value, before in kept:
            gap = difference(before, copied(value))
            expect(
                gap is None,
                f"The tensors of a step belong to the caller. A later step wrote into an earlier one: {gap}; return a "
                "copy of what the env keeps.",
            )

    def test_same_seed_makes_the_same_episodes(self, another: Callable[[], Env]) -> None:
        """The first `reset` seeds the envs with the context's seed."""
        first, second = (self._trace(another()) for _ in range(2))
        gap = difference(first, second)
        expect(
            gap is None,
            f"Two envs with one seed and the same actions give the same observations and rewards. They differ: {gap}; "
            "seed every generator from `context.seed` in the first `reset`.",
        )

    def _trace(self, env: Env) -> list[Any]:
        trace: list[Any] = [copied(env.reset())]
        for index in range(10):
            step = env.step(random_actions(env.spec, seed=index))
            trace.append([copied(step.obs), copied(step.rewards), copied(step.dones)])
        return trace

    def test_an_ended_env_goes_on_by_itself(self, built: Env, num_steps: int) -> None:
        """It is reset in the same step; or the step after is no transition, and says so."""
        ended, step = self._run_to_an_end(built, num_steps)
        if built.spec.keeps_final_obs:
            expect(
                step.final_obs is not None,
                "Where an episode ended, `final_obs` holds its last observation. It is None; give it, or say "
                "`keeps_final_obs=False` in the spec.",
            )
        else:
            expect(step.final_obs is None, "`keeps_final_obs=False` says that there is no `final_obs`. There is one.")
        if step.final_obs is not None:
            expect_observations(step.final_obs, built.spec, "`final_obs`")
            gap = difference(copied(step.final_obs[~ended]), copied(step.obs[~ended]))
            expect(gap is None, f"Where no episode ended, `final_obs` equals `obs`. It does not: {gap}.")
        resets_next_step = (
            step.final_obs is not None and difference(copied(step.final_obs[ended]), copied(step.obs[ended])) is None
        )
        after = built.step(random_actions(built.spec))
        expect_observations(after.obs, built.spec, "the step after the end of an episode")
        if resets_next_step:
            expect(
                after.valid is not None and not bool(after.valid[ended].any()),
                "An env that has ended is reset in the same step: `obs` is then the first of a new episode. It was the "
                "last of the old one, and the next step was not marked `valid=False` either; reset before returning, "
                "or mark the step that resets.",
            )

    def _run_to_an_end(self, env: Env, num_steps: int) -> tuple[Tensor, EnvStep]:
        env.reset()
        for index in range(num_steps):
            step = env.step(random_actions(env.spec, seed=index))
            expect_flags(step)
            if bool(step.dones.any()):
                return step.dones, step
            gap = None if step.final_obs is None else difference(copied(step.final_obs), copied(step.obs))
            expect(
                gap is None,
                f"Where no episode ended, `final_obs` is None or equals `obs`. It is something else: {gap}.",
            )
        limit = env.spec.max_episode_length
        pytest.skip(f"no episode ended in {num_steps} steps (limit {limit}); override `num_steps` to see one end")

    def test_closes_twice(self, context: Context) -> None:
        """`close` may be called again."""
        env = make_env(context)
        env.reset()
        env.close()
        try:
            env.close()
        except Exception as error:
            pytest.fail(f"`close` may be called twice. The second time raised {error!r}.", pytrace=False)

    def test_random_starts_are_below_the_limit(self, built: Env) -> None:
        """Where the env has `randomize_episode_steps`, it goes on to work."""
        if not isinstance(built, RandomStartEnv) or built.spec.max_episode_length is None:
            return
        built.reset()
        built.randomize_episode_steps()
        expect_observations(built.step(random_actions(built.spec)).obs, built.spec, "`step` after a random start")

    @pytest.mark.parametrize("num_steps_before", [0, 7])
    def test_goes_on_from_its_state(self, another: Callable[[], Env], num_steps_before: int) -> None:
        """Where the env has a `state_dict`, a fresh one with the state goes on as the old one does, to the bit."""
        first, second = another(), another()
        first.reset()
        self._run(first, num_steps_before)
        if not isinstance(first, StatefulEnv) or (state := first.state_dict()) is None:
            return
        assert isinstance(second, StatefulEnv)
        expect_plain_state(state, type(first).__name__)
        before = copied(state)
        expected = self._run(first, 30)
        expect_unchanged(before, state, "An env that goes on")
        second.load_state_dict(through_a_file(state))
        gap = difference(expected, self._run(second, 30))
        expect(
            gap is None,
            f"A fresh env with the state of another one goes on as that one does. It did not: {gap}; save what the "
            "next steps depend on in `state_dict`: counters and random generators too.",
        )

    def test_a_state_that_does_not_fit_is_refused(self, another: Callable[[], Env]) -> None:
        """By a CheckpointError, and the env goes on as it was."""
        env, same = another(), another()
        env.reset()
        same.reset()
        if not isinstance(env, StatefulEnv) or env.state_dict() is None:
            return
        try:
            env.load_state_dict({})
        except CheckpointError:
            gap = difference(self._run(env, 5), self._run(same, 5))
            expect(gap is None, f"An env that refused a state is as it was. It is not: {gap}; check before you load.")
            return
        except Exception as error:
            what = f"It was a {reason(error)}"
        else:
            what = "It was taken"
        pytest.fail(
            f"A state that does not fit, such as an empty one, is a CheckpointError. {what}; compare what the state "
            "says of the envs with the env.",
            pytrace=False,
        )

    def test_resets_the_envs_that_it_is_told(self, built: Env) -> None:
        """Where the env has `reset_envs`: those alone, and it goes on."""
        built.reset()
        if not isinstance(built, PartialResetEnv):
            return
        last = built.step(random_actions(built.spec)).obs
        chosen = torch.zeros(built.spec.num_envs, dtype=torch.bool, device=last.device)
        for name in ("none", "the first", "all"):
            chosen[: {"none": 0, "the first": 1, "all": len(chosen)}[name]] = True
            obs = built.reset_envs(chosen)
            expect_observations(obs, built.spec, "`reset_envs`")
            gap = difference(copied(last[~chosen]), copied(obs[~chosen]))
            expect(
                gap is None,
                f"`reset_envs` gives the last observations of the envs that go on. Told to reset {name}, it gave "
                f"others: {gap}; reset the envs that are True alone.",
            )
            step = built.step(random_actions(built.spec))
            expect_observations(step.obs, built.spec, "the step after `reset_envs`")
            expect_flags(step)
            expect(
                step.valid is None or bool(step.valid[chosen].all()),
                "The step after `reset_envs` is a transition of the envs that were reset. It is marked `valid=False`.",
            )
            last = step.obs

    def test_a_reset_of_no_env_changes_nothing(self, another: Callable[[], Env]) -> None:
        """Where the env has `reset_envs`: a run asks with it whether the env can, and goes on as one that did not."""
        asked, same = another(), another()
        if not isinstance(asked, PartialResetEnv):
            return
        expected, obs = copied(same.reset()), asked.reset()
        none = torch.zeros(asked.spec.num_envs, dtype=torch.bool, device=obs.device or next(iter(obs.values())).device)
        gap = difference([expected, self._run(same, 30)], [copied(asked.reset_envs(none)), self._run(asked, 30)])
        expect(
            gap is None,
            "`reset_envs` changes nothing where no env is to be reset. What came after it was different: "
            f"{gap}; draw no random numbers then.",
        )

    def _run(self, env: Env, num_steps: int) -> list[Any]:
        """All that some steps give, with the same actions for each env."""
        steps = (env.step(random_actions(env.spec, seed=index)) for index in range(num_steps))
        return [copied(attrs.asdict(step, recurse=False)) for step in steps]
