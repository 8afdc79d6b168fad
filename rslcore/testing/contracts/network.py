"""What a network promises.

Legend: B rows, S sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy
import pytest
import torch
from tensordict import TensorDict

from rslcore import protocols
from rslcore.context import Context
from rslcore.recurrence import State, forget, run_network, split_sequences, state_specs, zero_state
from rslcore.specs import TensorSpec
from rslcore.testing.contracts.base import Contract, Options, promised
from rslcore.testing.inputs import device_of, make_observations
from rslcore.testing.module_checks import (
    expect_config_error,
    expect_gradients,
    expect_module,
    expect_no_reads,
    expect_round_trip,
    expect_unchanged,
)
from rslcore.testing.values import copied, difference, expect, shown

NUM_OUTPUTS = 5


class NetworkContract(Contract):
    """Of networks, recurrent ones too. The component is the network of an actor and of a critic."""

    kind: ClassVar[str] = "network"

    @pytest.fixture
    def network(self, component: Options) -> Options:
        """The component."""
        return component

    @pytest.fixture
    def parts(self, context: Context) -> dict[str, Any]:
        """A network is told how many outputs it has."""
        return {"num_outputs": NUM_OUTPUTS}

    @pytest.fixture
    def obs(self, context: Context) -> TensorDict:
        """Observations `[6, ...]`."""
        return make_observations(context.env_spec, 6, context.device)

    def _promised(self, built: Any) -> list[str]:
        return promised(protocols.RecurrentNetwork if hasattr(built, "state_specs") else protocols.Network)

    @pytest.mark.parametrize("num_rows", [1, 7])
    def test_outputs_have_the_promised_shape(self, build: Callable[..., Any], context: Context, num_rows: int) -> None:
        """`[B, num_outputs]`, float32, finite."""
        network = build().eval()
        expect_module(network, self.kind)
        outputs = _run(network, make_observations(context.env_spec, num_rows, context.device))
        seen = f"{type(network).__name__} gave {shown(outputs)}"
        expect(
            tuple(outputs.shape) == (num_rows, NUM_OUTPUTS) and outputs.dtype == torch.float32,
            f"With {num_rows} rows and num_outputs={NUM_OUTPUTS}, the outputs are [{num_rows}, {NUM_OUTPUTS}] float32. "
            f"{seen}; the last layer makes num_outputs numbers a row.",
        )
        expect(
            bool(outputs.isfinite().all()), f"Outputs are finite for observations of common size. {seen} with others."
        )

    def test_same_seed_makes_the_same_network(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """Initial weights come from torch's generator."""
        gap = difference(_run(build(seed=3).eval(), obs), _run(build(seed=3).eval(), obs))
        expect(gap is None, f"Built twice with one seed, a network does the same. It differs: {gap}; draw from torch.")

    def test_observations_are_left_as_they_are(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """Neither `forward` nor `update_normalization` writes into them."""
        network, before = build(), copied(obs)
        _run(network, obs)
        expect_unchanged(before, obs, "`forward` of a network")
        network.update_normalization(obs)
        expect_unchanged(before, obs, "`update_normalization` of a network")

    def test_every_parameter_gets_a_gradient(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """From the outputs."""
        network = build().train()
        expect_gradients(network, _run(network, obs).square().sum(), self.kind, "its outputs")

    def test_state_dict_holds_all_of_it(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """A fresh network with the state does the same."""
        expect_round_trip(build, lambda network: _run(network, obs), lambda network: network.update_normalization(obs))

    def test_normalization_trains_nothing(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """`update_normalization` changes statistics, no weights."""
        network = build()
        before = copied(dict(network.named_parameters()))
        network.update_normalization(obs)
        gap = difference(before, copied(dict(network.named_parameters())))
        expect(gap is None, f"`update_normalization` changes statistics, not parameters. It changed one: {gap}.")
        expect(
            bool(_run(network.eval(), obs).isfinite().all()),
            "After `update_normalization` outputs are finite. They are not: a deviation of 0 needs a floor.",
        )

    def test_evaluation_changes_nothing(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """In evaluation mode a network is a function of each row."""
        network = build().eval()
        before = copied(network.state_dict())
        whole = _run(network, obs)
        gap = difference(before, copied(network.state_dict()))
        expect(gap is None, f"In evaluation mode `forward` changes no state. It did: {gap}; ask `self.training` first.")
        gap = difference(whole[:2], _run(network, obs[:2]), tolerance=1e-5)
        expect(gap is None, f"In evaluation mode the outputs of a row depend on that row alone. They do not: {gap}.")
        gap = difference(whole, _run(network, obs))
        expect(gap is None, f"In evaluation mode a network is deterministic. It is not: {gap}; ask `self.training`.")

    def test_nothing_is_read_on_the_host(self, build: Callable[..., Any], obs: TensorDict) -> None:
        """Neither forwards nor backwards, nor by the normalization."""
        network = build().train()

        def step() -> None:
            _run(network, obs).square().mean().backward()
            network.update_normalization(obs)

        expect_no_reads(step, "A network")

    def test_missing_group_is_a_config_error(self, build: Callable[..., Any], context: Context) -> None:
        """What the env does not have is said with its place in the config."""
        spec = attrs.evolve(context.env_spec, observations={"something_else": TensorSpec((3,))})
        expect_config_error(
            lambda: _run(build(spec=spec), make_observations(spec, 2, context.device)),
            self.kind,
            "`rslcore.observations.vector_size` and `find_groups` check it",
        )

    def test_sequences_are_what_steps_are(self, build: Callable[..., Any], context: Context) -> None:
        """A recurrent network gives a sequence at once what it gives step by step, with its state handed on."""
        network = build().eval()
        specs = state_specs(network)
        if not specs:
            return
        num_steps, num_envs = 5, 3
        dones = numpy.zeros((num_steps, num_envs), dtype=numpy.bool_)
        dones[1, 0] = dones[3, 2] = True
        rollout = make_observations(context.env_spec, num_steps * num_envs, context.device)
        first = {name: torch.randn_like(part) for name, part in zero_state(specs, num_envs, context.device).items()}
        state: State = first
        outputs = []
        with torch.no_grad():
            for step in range(num_steps):
                obs = rollout[step * num_envs : (step + 1) * num_envs]
                before = copied(state)
                output, after = run_network(network, obs, state, None)
                expect_unchanged(before, state, "`forward` of a recurrent network")
                outputs.append(output)
                state = forget(after, torch.from_numpy(dones[step]).to(context.device))
            rows, sequences = split_sequences(dones, None, context.device)
            packed, ends = run_network(network, rollout[rows], sequences.first_states(first), sequences)
        gap = difference(torch.cat(outputs)[rows], packed, tolerance=1e-4)
        expect(gap is None, f"With `sequences` the outputs are those of single steps, in the order of rows. {gap}.")
        gap = difference(copied(state), copied(sequences.last_states(ends, num_envs)), tolerance=1e-4)
        expect(gap is None, f"With `sequences` the state is that after the last row of each sequence. {gap}.")


def _run(network: Any, obs: TensorDict) -> torch.Tensor:
    """Outputs of rows that are each a sequence of its own."""
    outputs, _ = run_network(network, obs, zero_state(state_specs(network), len(obs), device_of(obs)), None)
    return outputs
