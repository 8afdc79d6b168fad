"""What an extension promises.

Legend: N envs, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.evaluation import load_policy
from rslcore.extension import Extension
from rslcore.registry import Registry
from rslcore.specs import TensorSpec
from rslcore.testing.contracts.algorithm import expect_few_reads, expect_same_for_a_seed, expect_trains
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.defaults import COMPONENTS
from rslcore.testing.driving import Drive, drive, forgets_only_the_done
from rslcore.testing.inputs import make_observations
from rslcore.testing.resuming import expect_begins_anew, expect_goes_on
from rslcore.testing.spying import Call, Spy, SpyRegistry, read_only
from rslcore.testing.values import copied, difference, expect, expect_plain_state, reason, shown


class ExtensionContract(Contract):
    """Of extensions. They work in PPO, before another extension; override `algorithm` for one of another algorithm."""

    kind: ClassVar[str] = "extension"

    @pytest.fixture
    def extensions(self, component: Options) -> list[Options]:
        """The component, and another extension."""
        return [component, {"name": "fake"}]

    @pytest.fixture
    def algorithm(self, extensions: list[Options]) -> Options:
        """PPO with the extensions."""
        return {**COMPONENTS["algorithm"], "extensions": extensions}

    @pytest.fixture
    def num_iterations(self) -> int:
        """Iterations after which everything that it trains has moved."""
        return 3

    @pytest.fixture
    def host_reads(self) -> int:
        """Reads on the host that an update may make; raise it for those of a rollout that are there by design."""
        return 1

    @pytest.fixture
    def start(self, context: Context) -> Callable[..., Drive]:
        """Builds the algorithm anew, in an env of its own, with a seed."""
        return lambda seed=1: drive(context, seed=seed)

    @pytest.fixture
    def spied(self, context: Context, component: Options, num_iterations: int) -> tuple[Spy, list[dict[str, Tensor]]]:
        """What was seen of the extension in some iterations, and their metrics."""
        spy = Spy()
        watched = attrs.evolve(context, registry=SpyRegistry(context.registry, component["name"], spy))
        driven = drive(watched)
        expect(spy.extension is not None, "The algorithm should carry the extension. It built none of that name.")
        metrics = driven.iterate(num_iterations)
        driven.algorithm.eval_mode()  # in which it draws nothing
        return spy, metrics

    def test_inherits_from_extension(self, build: Callable[..., Any]) -> None:
        """From `rslcore.Extension`, whose hooks do nothing."""
        extension = build()
        expect(
            isinstance(extension, Extension),
            f"An extension inherits from `rslcore.Extension`, which does nothing at hooks that it does not override. "
            f"{type(extension).__name__} does not.",
        )

    def test_what_it_is_given_stays_as_it_is(self, spied: tuple[Spy, Any]) -> None:
        """Observations, transitions and rewards are read, not written."""
        for call in spied[0].calls:
            gap = difference(call.before, copied([read_only(argument) for argument in call.arguments]))
            expect(
                gap is None,
                f"Hooks leave what they are given as it is. `{call.hook}` wrote into its arguments: {gap}; return a "
                "changed copy (`obs.clone(recurse=False)`, `rewards + bonus`).",
            )

    def test_groups_are_what_it_declares(self, spied: tuple[Spy, Any], context: Context) -> None:
        """`before_act` and `extend_final_obs` add what `observation_groups` says, and lose nothing."""
        spy, _ = spied
        declared = spy.extension.observation_groups()
        calls = [*spy.of("before_act"), *spy.of("extend_final_obs")]
        expect(
            not declared or bool(calls),
            f"`before_act` adds the groups that `observation_groups` declares, {sorted(declared)}. It is not "
            "overridden.",
        )
        for call in calls:
            _expect_groups(call, declared)

    def test_final_observations_move_no_state(self, spied: tuple[Spy, Any], context: Context) -> None:
        """`extend_final_obs` is a look aside: asked twice it says the same, and acting does not notice."""
        extension = spied[0].extension
        if type(extension).before_act is Extension.before_act:
            return
        final, obs = (
            make_observations(context.env_spec, context.env_spec.num_envs, context.device, seed) for seed in (1, 2)
        )
        results = []
        for looks in (0, 2):
            extension.reset(None)
            extension.before_act(obs)
            for _ in range(looks):
                extension.extend_final_obs(final)
            torch.manual_seed(0)  # acting may draw
            results.append(copied(extension.before_act(obs)))
        gap = difference(results[0], results[1])
        expect(
            gap is None,
            "`extend_final_obs` moves on no state of the extension. What `before_act` returned after it was something "
            f"else: {gap}; override it, and add the groups from what is remembered without remembering more.",
        )

    def test_reset_forgets_only_the_done(self, spied: tuple[Spy, Any], context: Context) -> None:
        """What `before_act` keeps of an env goes when its episode ends, and no sooner."""
        extension = spied[0].extension
        if type(extension).before_act is Extension.before_act:
            return
        obs = [
            make_observations(context.env_spec, context.env_spec.num_envs, context.device, seed) for seed in range(3)
        ]
        results = forgets_only_the_done(lambda each: copied(extension.before_act(each)), extension.reset, obs)
        remembered, one_forgotten, forgotten = results
        for name in remembered:
            gap = difference(remembered[name][1:], one_forgotten[name][1:], tolerance=1e-6)
            expect(gap is None, f"`reset(dones)` forgets only the envs in `dones`. Group '{name}' of another: {gap}.")
            gap = difference(forgotten[name][:1], one_forgotten[name][:1], tolerance=1e-6)
            expect(
                gap is None,
                f"`reset(dones)` forgets the envs in `dones`, as `reset(None)` forgets all. Group '{name}' of one that "
                f"ended still depended on its past: {gap}; clear its rows in `reset`.",
            )

    def test_rewards_are_a_number_an_env(self, spied: tuple[Spy, Any], context: Context) -> None:
        """`shape_reward` returns `[N]`, finite, without a graph."""
        for call in spied[0].of("shape_reward"):
            rewards = call.result
            expect(
                isinstance(rewards, Tensor) and tuple(rewards.shape) == (context.env_spec.num_envs,),
                f"`shape_reward` returns the rewards to learn from, [{context.env_spec.num_envs}]. It returned "
                f"{shown(rewards)}.",
            )
            expect(not rewards.requires_grad, "Rewards carry no gradient. These do; use `torch.no_grad()`.")
            expect(bool(rewards.isfinite().all()), "Rewards are finite. `shape_reward` returned others.")

    def test_losses_are_weighted_scalars(self, spied: tuple[Spy, Any]) -> None:
        """`losses` returns `{name: (scalar, weight)}`."""
        for call in spied[0].of("losses"):
            expect(isinstance(call.result, Mapping), f"`losses` returns a mapping. It returned {shown(call.result)}.")
            for name, pair in call.result.items():
                fits = isinstance(pair, tuple) and len(pair) == 2
                expect(fits, f"`losses` returns {{name: (scalar, weight)}}. '{name}' is {shown(pair)}, no such pair.")
                loss, weight = pair
                expect(
                    isinstance(loss, Tensor) and loss.dim() == 0 and bool(loss.isfinite()),
                    f"A loss is a finite scalar tensor. '{name}' is {shown(loss)}; take its mean.",
                )
                expect(isinstance(weight, int | float), f"The weight of a loss is a number. That of '{name}' is not.")

    def test_metrics_are_scalars(self, spied: tuple[Spy, Any]) -> None:
        """`{section/name: tensor}`, on the device, finite."""
        for call in spied[0].of("metrics"):
            for name, value in call.result.items():
                expect("/" in name, f"A metric is named `section/name`. '{name}' has no section.")
                expect(
                    isinstance(value, Tensor) and value.dim() == 0 and bool(value.isfinite()),
                    f"A metric is a finite scalar tensor. '{name}' is {shown(value)}.",
                )

    def test_what_it_registers_is_trained(self, context: Context, component: Options, num_iterations: int) -> None:
        """Parameters that need gradients get them, and move."""
        spy = Spy()
        watched = attrs.evolve(context, registry=SpyRegistry(context.registry, component["name"], spy))
        driven = drive(watched)
        before = {name: copied(dict(module.named_parameters())) for name, module in spy.modules.items()}
        driven.iterate(num_iterations)
        still = [
            f"{name}.{key}"
            for name, module in spy.modules.items()
            for key, parameter in module.named_parameters()
            if parameter.requires_grad and torch.equal(parameter.detach(), before[name][key])
        ]
        expect(
            not still,
            f"What an extension registers is trained. After {num_iterations} iterations these had not moved: "
            f"{', '.join(still)}; step its own optimizer, return a loss, or give them requires_grad=False.",
        )

    def test_collecting_reads_nothing_on_the_host(self, start: Callable[..., Drive], host_reads: int) -> None:
        """No hook of an env step, and none of a minibatch."""
        expect_few_reads(start(), host_reads)

    def test_same_seed_does_the_same(self, start: Callable[..., Drive]) -> None:
        """Two runs of one seed are equal."""
        expect_same_for_a_seed(start)

    def test_state_is_plain(self, spied: tuple[Spy, Any]) -> None:
        """It stands in a checkpoint."""
        expect_plain_state(spied[0].extension.state_dict(), type(spied[0].extension).__name__)

    def test_goes_on_where_it_stopped(self, start: Callable[..., Drive]) -> None:
        """Saved and loaded, beside another extension, with the same episodes."""
        expect_goes_on(start, "A run with the extension")

    def test_goes_on_with_new_episodes(
        self, start: Callable[..., Drive], spied: tuple[Spy, Any], context: Context
    ) -> None:
        """What `before_act` keeps of the episodes before is forgotten then."""
        expect_begins_anew(start, "A run with the extension")
        extension = spied[0].extension
        first, second = (
            make_observations(context.env_spec, context.env_spec.num_envs, context.device, seed) for seed in (1, 2)
        )

        def forget_by_loading() -> None:
            extension.load_local_state_dict(extension.local_state_dict(), same_episodes=False)

        results = []
        for forget in (lambda: extension.reset(None), forget_by_loading):
            extension.before_act(first)
            forget()
            torch.manual_seed(0)  # acting may draw
            results.append(copied(extension.before_act(second)))
        gap = difference(results[0], results[1])
        expect(
            gap is None,
            "Without `same_episodes`, `load_local_state_dict` lets the extension forget as `reset(None)` does. What "
            f"`before_act` returned then was something else: {gap}; leave out what is of episodes.",
        )

    def test_unknown_groups_are_a_config_error(self, build: Callable[..., Any], context: Context) -> None:
        """An env without what it reads is a mistake of the config, said when it is built."""
        spec = attrs.evolve(context.env_spec, observations={"something_else": TensorSpec((3,))})
        try:
            build(spec=spec)
        except ConfigError:
            return
        except Exception as error:
            pytest.fail(
                f"An env without a group that the extension reads is a ConfigError. It was a {reason(error)}; "
                f"`rslcore.observations.vector_size` and `find_groups` check it.",
                pytrace=False,
            )

    def test_trains_resumes_and_acts(self, context: Context, registry: Registry, tmp_path: Path) -> None:
        """Through the same functions as the command line; a policy acts without the env."""
        run = expect_trains(context, registry, tmp_path)
        policy = load_policy(run, device="cpu", registry=registry)
        for num_rows in (context.env_spec.num_envs, 2):
            obs: TensorDict = make_observations(context.env_spec, num_rows, context.device)
            policy.reset()
            actions = policy(obs)
            expect(
                len(actions) == num_rows,
                f"A policy acts for any number of rows. For {num_rows} it gave {shown(actions)}; let `before_act` make "
                "its memory anew where the number of rows changes.",
            )


def _expect_groups(call: Call, declared: Mapping[str, TensorSpec]) -> None:
    obs, result = call.arguments[0], call.result
    expect(isinstance(result, TensorDict), f"`{call.hook}` returns a TensorDict. It returned {shown(result)}.")
    lost = set(obs.keys()) - set(result.keys())
    expect(not lost, f"`{call.hook}` adds groups and loses none. It lost {sorted(map(str, lost))}.")
    for name in result.keys():  # noqa: SIM118 - a TensorDict is no mapping of its keys
        changed = name not in obs.keys() or not torch.equal(obs[name], result[name])  # noqa: SIM118
        if name in declared:
            expected = f"{[len(obs), *declared[name].shape]} {declared[name].dtype}"
            expect(
                shown(result[name]) == expected,
                f"Group '{name}' is {expected}, as `observation_groups` says. `{call.hook}` gave "
                f"{shown(result[name])}.",
            )
        else:
            expect(
                not changed,
                f"`observation_groups` declares what `{call.hook}` adds or changes. It does not declare '{name}'.",
            )
    missing = set(declared) - set(result.keys())
    expect(not missing, f"`{call.hook}` adds what `observation_groups` declares. {sorted(missing)} is missing.")
