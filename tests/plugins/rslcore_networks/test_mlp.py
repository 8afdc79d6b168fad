"""The MLP: groups, normalization, initialization, misfits."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rslcore.config import NetworkComponent
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec

GROUPS = {"policy": TensorSpec((3,)), "privileged": TensorSpec((2,)), "image": TensorSpec((1, 4, 4), "uint8")}


@pytest.fixture
def build(small_config):
    def make(**options):
        config = default_registry().config_class("network", "mlp")(**options)
        spec = EnvSpec(2, GROUPS, ActionSpec(1, num_choices=(2,)))
        context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)
        return context.build(NetworkComponent("mlp", config), "policy.actor.network", num_outputs=4)

    return make


@pytest.fixture
def obs():
    torch.manual_seed(0)
    return TensorDict({"policy": 5 + 2 * torch.randn(64, 3), "privileged": torch.randn(64, 2)}, batch_size=[64])


def test_forward_concatenates_the_named_groups_in_order(build, obs):
    network = build(groups=("privileged", "policy"), hidden_dims=())
    expected = network.layers(torch.cat((obs["privileged"], obs["policy"]), dim=-1))
    assert torch.equal(network(obs), expected)
    assert network(obs).shape == (64, 4)


def test_forward_takes_integer_groups(build):
    network = build(hidden_dims=(8,))
    assert network(TensorDict({"policy": torch.ones(2, 3, dtype=torch.int64)}, batch_size=[2])).dtype == torch.float32


@pytest.mark.parametrize("activation", ["elu", "relu", "tanh", "gelu", "silu", "leaky_relu"])
def test_forward_with_each_activation_is_finite(build, obs, activation):
    assert build(activation=activation, hidden_dims=(8, 8))(obs).isfinite().all()


def test_normalization_stands_still_until_it_is_updated(build, obs):
    network = build(normalize=True, hidden_dims=(8,))
    before = network(obs)
    assert torch.equal(network(obs), before)
    network.update_normalization(obs)
    rows = network.normalizer(obs["policy"])
    torch.testing.assert_close(rows.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.std(0, correction=0), torch.ones(3), atol=1e-2, rtol=0)


def test_normalization_in_parts_equals_that_of_the_whole(build, obs):
    whole, parts = build(normalize=True), build(normalize=True)
    whole.update_normalization(obs)
    for chunk in obs.split([10, 30, 24]):
        parts.update_normalization(chunk)
    torch.testing.assert_close(parts.normalizer.mean, whole.normalizer.mean)
    torch.testing.assert_close(parts.normalizer.variance, whole.normalizer.variance)
    assert parts.normalizer.count == 64


def test_normalization_by_hand(build):
    # Rows 1 and 3: mean 2, variance 1; with row 8: mean 4, variance (9 + 1 + 16) / 3.
    normalizer = build(normalize=True).normalizer
    normalizer.update(torch.tensor([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]]))
    normalizer.update(torch.tensor([[8.0, 8.0, 8.0]]))
    torch.testing.assert_close(normalizer.mean, torch.full((3,), 4.0))
    torch.testing.assert_close(normalizer.variance, torch.full((3,), 26.0 / 3.0))


def test_output_scale_makes_first_outputs_small(build, obs):
    torch.manual_seed(0)
    usual = build(init="orthogonal", hidden_dims=(16,))(obs)
    torch.manual_seed(0)
    small = build(init="orthogonal", hidden_dims=(16,), output_scale=0.01)(obs)
    torch.testing.assert_close(small, 0.01 * usual)


def test_orthogonal_init_is_orthogonal(build):
    weight = build(init="orthogonal", hidden_dims=(3,)).layers[0].weight
    torch.testing.assert_close(weight @ weight.T, 2.0 * torch.eye(3))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            ("polcy",),
            "the env has no observation group 'polcy'; did you mean 'policy'? (it has 'image', 'policy', 'privileged')",
        ),
        (
            ("image",),
            "group 'image' has shape [1, 4, 4], only 1-D groups can be read here; images are read by the network 'cnn'",
        ),
        ((), "names no observation group; the env has 'image', 'policy', 'privileged'"),
    ],
)
def test_groups_that_do_not_fit_are_refused(build, groups, message):
    with pytest.raises(ConfigError) as caught:
        build(groups=groups)
    assert str(caught.value) == f"policy.actor.network.groups: {message}"
