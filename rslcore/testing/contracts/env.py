"""What an env promises.

Legend: N envs, A actions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.protocols import Env, EnvStep, RandomStartEnv
from rslcore.specs import EnvSpec
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.driving import make_env
from rslcore.testing.module_checks import expect_unchanged
from rslcore.testing.values import copied, difference, expect, shown


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


def expect_observations(obs: TensorDict, spec: EnvSpec, what: str) -> None:
    """Fail unless observations have the groups, shapes and types of a spec."""
    expect(isinstance(obs, TensorDict), f"{what} gives observations as a TensorDict. It gave a {type(obs).__name__}.")
    expect(
        tuple(obs.batch_size) == (spec.num_envs,),
        f"Observations of {what} have batch size [{spec.num_envs}], N. It is {list(obs.batch_size)}.",
    )
    groups = set(map(str, obs.keys()))
    expect(
        groups == set(spec.observations),
        f"Observations of {what} have the groups of the spec, {sorted(spec.observations)}. They have {sorted(groups)}.",
    )
    for name, group in spec.observations.items():
        expected = f"{[spec.num_envs, *group.shape]} {group.dtype}"
        expect(
            shown(obs[name]) == expected,
            f"Group '{name}' of {what} is {expected}, as the spec says. It is {shown(obs[name])}.",
        )


def expect_flags(step: EnvStep) -> None:
    """Fail if the flags of a step contradict one another."""
    expect(
        bool((step.dones == (step.terminated | step.truncated)).all()),
        "`dones` is `terminated | truncated`. It is not; leave it to `EnvStep`.",
    )
    if step.valid is not None:
        expect(
            not bool((step.dones & ~step.valid).any()),
            "A step in which an env only resets (`valid=False`) ends no episode. One did.",
        )


def random_actions(spec: EnvSpec, seed: int = 0) -> Tensor:
    """Actions `[N, A]` that the env takes, the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    actions = spec.actions
    if actions.is_discrete:
        columns = [torch.randint(choices, (spec.num_envs,), generator=generator) for choices in actions.num_choices]
        return torch.stack(columns, 1)
    low, high = torch.tensor(actions.low).clamp(-1.0, 1.0), torch.tensor(actions.high).clamp(-1.0, 1.0)
    return low + (high - low) * torch.rand(spec.num_envs, actions.num_actions, generator=generator)
