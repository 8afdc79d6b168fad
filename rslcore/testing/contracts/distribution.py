"""What a distribution promises.

Legend: B rows, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.module_checks import (
    expect_gradients,
    expect_module,
    expect_no_reads,
    expect_round_trip,
    expect_unchanged,
)
from rslcore.testing.values import copied, difference, expect, shown

NUM_ROWS = 6
NUM_SAMPLES = 20_000


class DistributionContract(Contract):
    """Of distributions. Override `env` for one that takes other actions than unbounded numbers."""

    kind: ClassVar[str] = "distribution"

    @pytest.fixture
    def distribution(self, component: Options) -> Options:
        """The component."""
        return component

    @pytest.fixture
    def outputs_of(self, context: Context) -> Callable[..., Tensor]:
        """Makes network outputs `[B, num_inputs]` for a distribution."""

        def make(built: Any, seed: int = 0, num_rows: int = NUM_ROWS) -> Tensor:
            generator = torch.Generator().manual_seed(seed)
            return torch.randn(num_rows, built.num_inputs, generator=generator).to(context.device)

        return make

    def test_parameters_are_what_their_specs_say(
        self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]
    ) -> None:
        """A storage keeps them by their specs."""
        built = build()
        expect_module(built, self.kind)
        outputs = outputs_of(built)
        before = copied(outputs)
        params, specs = built.params(outputs), built.param_specs()
        expect_unchanged(before, outputs, "`params` of a distribution")
        expect(
            set(params) == set(specs),
            f"`param_specs` names what `params` returns: {sorted(specs)} and {sorted(params)} should be the same.",
        )
        for name, spec in specs.items():
            expected = ((NUM_ROWS, *spec.shape), spec.dtype)
            seen = (tuple(params[name].shape), str(params[name].dtype).removeprefix("torch."))
            expect(
                seen == expected,
                f"Parameter '{name}' is [B, ...] as `param_specs` says: {list(expected[0])} {expected[1]} for "
                f"{NUM_ROWS} rows. It is {shown(params[name])}; change the spec, or expand what `params` returns.",
            )

    def test_actions_are_those_of_the_env(
        self, build: Callable[..., Any], outputs_of: Callable[..., Tensor], context: Context
    ) -> None:
        """Samples and deterministic actions fit `action_spec`, and that fits the env."""
        built, actions = build(), context.env_spec.actions
        spec = built.action_spec()
        dtype = "int64" if actions.is_discrete else "float32"
        expect(
            (spec.shape, spec.dtype) == ((actions.num_actions,), dtype),
            f"`action_spec` is a row of the env's actions, [{actions.num_actions}] {dtype} here. It is "
            f"{list(spec.shape)} {spec.dtype}; read `context.env_spec.actions`.",
        )
        params = built.params(outputs_of(built))
        before = copied(params)
        for name, taken in (("sample", built.sample(params)), ("deterministic", built.deterministic(params))):
            expect(
                (tuple(taken.shape), str(taken.dtype)) == ((NUM_ROWS, *spec.shape), f"torch.{dtype}"),
                f"`{name}` gives actions [{NUM_ROWS}, {actions.num_actions}] {dtype} for {NUM_ROWS} rows of "
                f"parameters. It gave {shown(taken)}.",
            )
            for index, choices in enumerate(actions.num_choices):
                expect(
                    bool(((taken[:, index] >= 0) & (taken[:, index] < choices)).all()),
                    f"A choice of {choices} is a number from 0 to {choices - 1}. `{name}` gave others.",
                )
        expect_unchanged(before, params, "A distribution")

    def test_densities_are_finite_numbers_a_row(
        self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]
    ) -> None:
        """`[B]`, also for outputs that are large."""
        built = build()
        for scale in (1.0, 10.0):
            params, other = built.params(scale * outputs_of(built)), built.params(scale * outputs_of(built, seed=1))
            actions = built.sample(params)
            scalars = {
                "log_prob": built.log_prob(params, actions),
                "entropy": built.entropy(params),
                "kl_divergence": built.kl_divergence(params, other),
            }
            for name, value in scalars.items():
                expect(
                    tuple(value.shape) == (NUM_ROWS,),
                    f"`{name}` is a number a row, summed over the actions: [{NUM_ROWS}]. It is {shown(value)}.",
                )
                expect(
                    bool(value.isfinite().all()),
                    f"`{name}` is finite for actions that were sampled, with network outputs of size {scale:g}. It is "
                    f"{value.tolist()}; keep parameters and actions away from where it is not.",
                )

    def test_divergence_is_that_of_two_distributions(
        self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]
    ) -> None:
        """0 of one from itself, and never negative."""
        built = build()
        params, other = built.params(outputs_of(built)), built.params(outputs_of(built, seed=1))
        own = built.kl_divergence(params, params).abs().max().item()
        expect(own < 1e-5, f"KL(p || p) is 0. It is {own:.3g}.")
        least = built.kl_divergence(params, other).min().item()
        expect(least > -1e-5, f"KL(p || q) is never negative. It is {least:.3g}.")

    def test_densities_are_those_of_the_samples(
        self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]
    ) -> None:
        """Means over samples are what the formulas say: sampling and `log_prob` are of one distribution."""
        built, moved = build(), build()
        with torch.no_grad():  # another distribution in its own parameters too, such as a standard deviation
            for parameter in moved.parameters():
                parameter.add_(0.3)
        first, second = built.params(outputs_of(built, num_rows=1)), moved.params(outputs_of(built, 1, num_rows=1))
        params, other = (
            {name: part.detach().expand(NUM_SAMPLES, *part.shape[1:]) for name, part in each.items()}
            for each in (first, second)
        )
        with torch.no_grad():
            actions = built.sample(params)
            log_prob = built.log_prob(params, actions)
            self._expect_mean("entropy", -log_prob, built.entropy(first), "the mean of -log_prob")
            ratio = log_prob - built.log_prob(other, actions)
            self._expect_mean(
                "kl_divergence", ratio, built.kl_divergence(first, second), "the mean of log_prob(old) - log_prob(new)"
            )

    def _expect_mean(self, name: str, samples: Tensor, formula: Tensor, mean: str) -> None:
        gap = (samples.mean() - formula.squeeze()).abs().item()
        allowed = 5.0 * samples.std().item() / NUM_SAMPLES**0.5 + 1e-4
        expect(
            gap < allowed,
            f"`{name}` is {mean} over actions that `sample` draws. It is {formula.item():.4f}, and the mean of "
            f"{NUM_SAMPLES} samples {samples.mean().item():.4f}: `sample`, `log_prob` and `{name}` are not of one "
            "distribution.",
        )

    def test_samples_come_from_torchs_generator(
        self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]
    ) -> None:
        """A seed makes them again, and deterministic actions need none."""
        built = build()
        params = built.params(outputs_of(built))
        samples = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            samples.append(torch.cat([built.sample(params).double() for _ in range(20)]))
        gap = difference(samples[0], samples[1])
        expect(gap is None, f"With one seed of torch `sample` draws the same actions. It drew others: {gap}.")
        expect(difference(samples[0], samples[2]) is not None, "With another seed `sample` draws other actions.")
        gap = difference(built.deterministic(params), built.deterministic(params))
        expect(gap is None, f"`deterministic` draws nothing. It gave different actions: {gap}.")

    def test_gradients_reach_outputs_and_parameters(
        self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]
    ) -> None:
        """From log-probability and entropy, as policy gradients need."""
        built = build()
        outputs = outputs_of(built).requires_grad_()
        params = built.params(outputs)
        loss = (built.log_prob(params, built.sample(params).detach()) + built.entropy(params)).sum()
        expect_gradients(built, loss, self.kind, "`log_prob` and `entropy`")
        expect(
            outputs.grad is not None and bool(outputs.grad.isfinite().all()),
            "Network outputs get a finite gradient from `log_prob` and `entropy`. They got none, or no finite one.",
        )

    def test_state_dict_holds_all_of_it(self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]) -> None:
        """Its own parameters among it."""
        expect_round_trip(build, lambda built: dict(built.params(outputs_of(built))), lambda built: None)

    def test_first_weights_leave_the_layer_as_wide(
        self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]
    ) -> None:
        """`initialize_outputs` sets numbers, not shapes."""
        built = build()
        layer = nn.Linear(4, built.num_inputs)
        built.initialize_outputs(layer)
        outputs = layer(torch.randn(2, 4))
        expect(
            tuple(outputs.shape) == (2, built.num_inputs) and bool(outputs.isfinite().all()),
            f"After `initialize_outputs` the layer still makes num_inputs={built.num_inputs} finite numbers a row. It "
            f"made {shown(outputs)}.",
        )

    def test_metrics_are_scalars(self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]) -> None:
        """By name, on the device."""
        built = build()
        params: Mapping[str, Tensor] = built.params(outputs_of(built))
        for name, value in built.metrics(params).items():
            expect(
                isinstance(value, Tensor) and value.dim() == 0,
                f"`metrics` are scalar tensors. '{name}' is {shown(value)}; take its mean.",
            )

    def test_nothing_is_read_on_the_host(self, build: Callable[..., Any], outputs_of: Callable[..., Tensor]) -> None:
        """By none of the methods."""
        built = build()
        outputs = outputs_of(built)

        def use() -> None:
            params = built.params(outputs)
            actions = built.sample(params)
            built.deterministic(params)
            (built.log_prob(params, actions) + built.entropy(params)).mean()
            built.kl_divergence(params, params)
            built.metrics(params)

        expect_no_reads(use, "A distribution")
