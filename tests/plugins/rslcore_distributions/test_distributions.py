"""The distributions against those of torch."""

from __future__ import annotations

import pytest
import torch

from rslcore.config import DistributionComponent
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec

CONTINUOUS = ActionSpec(3, low=(-1.0,) * 3, high=(1.0,) * 3)
DISCRETE = ActionSpec(1, num_choices=(4,))


def build(name, actions, small_config, **options):
    config = default_registry().config_class("distribution", name)(**options)
    spec = EnvSpec(2, {"policy": TensorSpec((2,))}, actions)
    context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)
    return context.build(DistributionComponent(name, config), "policy.actor.distribution")


@pytest.fixture(params=["gaussian-scalar", "gaussian-log", "categorical"])
def case(request, small_config):
    """A distribution, two of its parameters, and torch's distributions with the same."""
    torch.manual_seed(0)
    old_outputs, new_outputs = torch.randn(5, 3), torch.randn(5, 3)
    if request.param == "categorical":
        ours = build("categorical", DISCRETE, small_config)
        old_outputs, new_outputs = torch.randn(5, 4), torch.randn(5, 4)
        theirs = [torch.distributions.Categorical(logits=outputs) for outputs in (old_outputs, new_outputs)]
        return ours, ours.params(old_outputs), ours.params(new_outputs), theirs
    ours = build("gaussian", CONTINUOUS, small_config, init_std=0.5, std_type=request.param.partition("-")[2])
    with torch.no_grad():
        ours.std_parameter.add_(torch.tensor([0.1, 0.2, 0.3]))
    old = {name: param.detach() for name, param in ours.params(old_outputs).items()}
    with torch.no_grad():
        ours.std_parameter.mul_(1.3)
    new = ours.params(new_outputs)
    theirs = [
        torch.distributions.Independent(torch.distributions.Normal(params["mean"], params["std"]), 1)
        for params in (old, new)
    ]
    return ours, old, new, theirs


def test_log_prob_equals_torchs(case):
    ours, old, _, (their_old, _) = case
    actions = ours.sample(old)
    expected = their_old.log_prob(actions.squeeze(1) if ours.action_spec().dtype == "int64" else actions)
    torch.testing.assert_close(ours.log_prob(old, actions), expected)


def test_entropy_equals_torchs(case):
    ours, old, _, (their_old, _) = case
    torch.testing.assert_close(ours.entropy(old), their_old.entropy())


def test_kl_divergence_equals_torchs(case):
    ours, old, new, (their_old, their_new) = case
    torch.testing.assert_close(ours.kl_divergence(old, new), torch.distributions.kl_divergence(their_old, their_new))


def test_sample_and_mode_are_as_declared(case):
    ours, old, _, _ = case
    spec = ours.action_spec()
    for actions in (ours.sample(old), ours.mode(old)):
        assert actions.shape == (5, *spec.shape)
        assert actions.dtype == getattr(torch, spec.dtype)
    assert {name: param.shape[1:] for name, param in old.items()} == {
        name: spec.shape for name, spec in ours.param_specs().items()
    }


def test_categorical_sample_has_the_probabilities(small_config):
    torch.manual_seed(0)
    ours = build("categorical", DISCRETE, small_config)
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4])
    drawn = ours.sample(ours.params(probabilities.log().expand(200_000, 4)))
    torch.testing.assert_close(torch.bincount(drawn.flatten()) / 200_000, probabilities, atol=5e-3, rtol=0)


def test_gaussian_sample_has_mean_and_std(small_config):
    torch.manual_seed(0)
    ours = build("gaussian", CONTINUOUS, small_config, init_std=0.5)
    with torch.no_grad():
        drawn = ours.sample(ours.params(torch.tensor([1.0, 2.0, 3.0]).expand(200_000, 3)))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([1.0, 2.0, 3.0]), atol=5e-3, rtol=0)
    torch.testing.assert_close(drawn.std(0), torch.full((3,), 0.5), atol=5e-3, rtol=0)


def test_gaussian_scalar_std_stays_positive(small_config):
    ours = build("gaussian", CONTINUOUS, small_config)
    with torch.no_grad():
        ours.std_parameter.fill_(-1.0)
    assert (ours.params(torch.zeros(1, 3))["std"] > 0).all()


@pytest.mark.parametrize(
    ("name", "actions", "message"),
    [
        ("gaussian", DISCRETE, "'gaussian' is for continuous actions; the env takes 1 discrete with 4 choices"),
        ("categorical", CONTINUOUS, "'categorical' is for one discrete action; the env takes 3 continuous"),
        (
            "categorical",
            ActionSpec(2, num_choices=(3, 4)),
            "'categorical' is for one discrete action; the env takes 2 discrete with 3, 4 choices",
        ),
    ],
)
def test_distribution_for_other_actions_is_refused(small_config, name, actions, message):
    with pytest.raises(ConfigError, match=rf"^policy\.actor\.distribution\.name: {message}$"):
        build(name, actions, small_config)
