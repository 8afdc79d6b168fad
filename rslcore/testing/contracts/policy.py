"""What a policy promises.

Legend: N envs, B rows, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs
import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import listed
from rslcore.protocols import ActorCriticPolicy, StudentTeacherPolicy
from rslcore.recurrence import InferenceMemory, zero_states
from rslcore.specs import TensorSpec
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.driving import forgets_only_the_done
from rslcore.testing.inputs import device_of, make_observations
from rslcore.testing.module_checks import (
    expect_config_error,
    expect_gradients,
    expect_module,
    expect_no_reads,
    expect_round_trip,
    expect_unchanged,
)
from rslcore.testing.values import copied, difference, expect, reason, shown


class PolicyContract(Contract):
    """Of policies. What an actor-critic or a student with a teacher promises beside is checked where it is one."""

    kind: ClassVar[str] = "policy"

    @pytest.fixture
    def policy(self, component: Options) -> Options:
        """The component."""
        return component

    @pytest.fixture
    def obs(self, context: Context) -> TensorDict:
        """Observations `[N, ...]`."""
        return make_observations(context.env_spec, context.env_spec.num_envs, context.device)

    def test_actions_are_those_of_the_env(self, build: Callable[..., Any], context: Context, obs: TensorDict) -> None:
        """`[N, A]`, of the spec's type, deterministic."""
        policy, before = build().eval(), copied(obs)
        expect_module(policy, self.kind)
        actions, again = _act(policy, obs), _act(policy, obs)
        spec = context.env_spec.actions
        dtype = torch.int64 if spec.is_discrete else torch.float32
        expect(
            tuple(actions.shape) == (len(obs), spec.num_actions) and actions.dtype == dtype,
            f"`act_inference` gives actions [{len(obs)}, {spec.num_actions}] {str(dtype).removeprefix('torch.')}. It "
            f"gave {shown(actions)}.",
        )
        gap = difference(actions, again)
        expect(gap is None, f"`act_inference` is deterministic. Twice the same gave different actions: {gap}.")
        expect_unchanged(before, obs, "`act_inference`")

    def test_state_dict_holds_all_of_it(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """A fresh policy with the state acts alike."""
        expect_round_trip(build, lambda policy: _run(policy, obs), lambda policy: _normalize(policy, obs))

    def test_acts_where_there_is_no_env(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """As on a robot: built from the spec, with a state that is about to be loaded."""
        policy = build().eval()
        try:
            alone = build(seed=2, env=None, restoring=True)
        except Exception as error:
            pytest.fail(
                f"A policy is built without its env to act elsewhere (`context.env` is None and `context.restoring` "
                f"True). That raised a {reason(error)}; build from `context.env_spec`, and fetch nothing while "
                "restoring.",
                pytrace=False,
            )
        alone.load_state_dict(policy.state_dict())
        gap = difference(_act(policy, obs), _act(alone.eval(), obs), tolerance=1e-6)
        expect(gap is None, f"Loaded without its env, a policy acts as it did with it. It does not: {gap}.")

    def test_evaluation_changes_nothing(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """Acting moves no statistics."""
        policy = build().eval()
        before = copied(policy.state_dict())
        _act(policy, obs)
        gap = difference(before, copied(policy.state_dict()))
        expect(gap is None, f"In evaluation mode acting changes no state. It did: {gap}.")

    def test_memory_is_handed_in_and_out(self, build: Callable[..., Any], context: Context) -> None:
        """A policy keeps no state itself, and envs do not see one another's."""
        policy = build().eval()
        num_envs = context.env_spec.num_envs
        states = zero_states(policy.state_specs(), num_envs, context.device)
        obs = [make_observations(context.env_spec, num_envs, context.device, seed) for seed in range(3)]
        with torch.no_grad():
            for each in obs[:2]:
                before = copied(states)
                _, after = policy.act_inference(each, states)
                expect_unchanged(before, states, "`act_inference`")
                states = {**states, **after}
            gap = difference(policy.act_inference(obs[2], states)[0], policy.act_inference(obs[2], states)[0])
        expect(gap is None, f"What a policy remembers is handed in and out; it keeps nothing. {gap}.")
        for name, specs in policy.state_specs().items():
            for part, spec in specs.items():
                expect(
                    tuple(states[name][part].shape) == (num_envs, *spec.shape),
                    f"The state '{name}.{part}' is {[num_envs, *spec.shape]} as `state_specs` says. It is "
                    f"{shown(states[name][part])}.",
                )
        memory = InferenceMemory(policy, context.device)
        remembered, one_forgotten, forgotten = forgets_only_the_done(memory.act, memory.reset, obs)
        gap = difference(remembered[1:], one_forgotten[1:], tolerance=1e-6) or difference(
            forgotten[:1], one_forgotten[:1], tolerance=1e-6
        )
        expect(gap is None, f"With zeros in the state of one env, that env alone begins anew. {gap}.")

    def test_nothing_is_read_on_the_host(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """To act, and to learn."""
        policy = build().train()
        expect_no_reads(lambda: _run(policy, obs), "A policy")

    def test_missing_groups_are_a_config_error(self, build: Callable[..., Any], context: Context) -> None:
        """What the env does not have is said with its place in the config."""
        spec = attrs.evolve(context.env_spec, observations={"something_else": TensorSpec((3,))})
        expect_config_error(
            lambda: _act(build(spec=spec), make_observations(spec, 2, context.device)),
            self.kind,
            "build networks with `context.build`",
        )

    def test_parameters_are_trained_once_each(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """`parameter_groups` has every parameter that needs a gradient once, and each gets one."""
        policy = build().train()
        if not hasattr(policy, "parameter_groups"):
            return
        grouped = [id(parameter) for group in policy.parameter_groups().values() for parameter in group]
        missing = [
            name
            for name, parameter in policy.named_parameters()
            if parameter.requires_grad and id(parameter) not in grouped
        ]
        expect(not missing, f"`parameter_groups` has all parameters. {listed(missing)} are in no group.")
        expect(len(grouped) == len(set(grouped)), "`parameter_groups` has each parameter once. One is there twice.")
        run = _run(policy, obs)
        if parts := [value for value in _leaves(run) if value.requires_grad]:
            loss = torch.stack([part.square().sum() for part in parts]).sum()
            expect_gradients(policy, loss, self.kind, "its outputs")

    def test_values_are_a_number_a_row(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """Of an actor-critic: values `[B]`, parameters as the distribution says."""
        policy = build()
        run = _run(policy, obs)
        if "values" in run:
            expect(
                tuple(run["values"].shape) == (len(obs),),
                f"`values` is a number a row, [{len(obs)}]. It is {shown(run['values'])}; squeeze the last dimension.",
            )
        for name, spec in policy.distribution.param_specs().items() if "params" in run else ():
            expect(
                tuple(run["params"][name].shape) == (len(obs), *spec.shape),
                f"Parameter '{name}' is {[len(obs), *spec.shape]}, as its distribution says. It is "
                f"{shown(run['params'][name])}.",
            )


def _act(policy: Any, obs: TensorDict) -> Tensor:
    states = zero_states(policy.state_specs(), len(obs), device_of(obs))
    with torch.no_grad():
        actions: Tensor = policy.act_inference(obs, states)[0]
    return actions


def _run(policy: Any, obs: TensorDict) -> dict[str, Any]:
    """All that a policy makes of observations, with the graph."""
    states = zero_states(policy.state_specs(), len(obs), device_of(obs))
    run: dict[str, Any] = {"actions": _act(policy, obs)}
    if isinstance(policy, ActorCriticPolicy):
        run["params"] = dict(policy.actor_params(obs, states.get("actor", {}))[0])
        run["values"] = policy.values(obs, states.get("critic", {}))[0]
    elif isinstance(policy, StudentTeacherPolicy):
        run["params"] = dict(policy.student_params(obs, states.get("student", {}))[0])
    return run


def _normalize(policy: Any, obs: TensorDict) -> None:
    if hasattr(policy, "update_normalization"):
        policy.update_normalization(obs)


def _leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [value] if isinstance(value, Tensor) else []
