"""The CNN: encoders by group, what is normalized, what each option does to the image."""

from __future__ import annotations

import attrs
import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rslcore.config import NetworkComponent, StorageComponent, structure
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.protocols import Network
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore_networks.cnn import BatchNorm

GROUPS = {
    "policy": TensorSpec((3,)),
    "goal": TensorSpec((2,)),
    "camera": TensorSpec((3, 8, 6), "uint8"),
    "depth": TensorSpec((1, 5, 5)),
    "mask": TensorSpec((1, 4, 4), "bool"),
    "table": TensorSpec((4, 4)),
}
B = 7


@pytest.fixture
def context(small_config):
    spec = EnvSpec(2, GROUPS, ActionSpec(1, num_choices=(2,)))
    return Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)


@pytest.fixture
def build(context):
    def make(**options):
        """A network, with options as they stand in YAML."""
        torch.manual_seed(0)
        options = {"hidden_dims": [], **options}
        config = structure(options, default_registry().config_class("network", "cnn"), default_registry())
        return context.build(NetworkComponent("cnn", config), "policy.actor.network", num_outputs=2)

    return make


@pytest.fixture
def encode(build):
    """The layers that an `encoder` makes for the float image `depth [1, 5, 5]`, and what they make of it."""

    def make(**encoder):
        layers = build(groups=["depth"], encoder=encoder).encoders["depth"]
        return layers, layers(torch.randn(B, 1, 5, 5))

    return make


@pytest.fixture
def obs():
    torch.manual_seed(0)
    return TensorDict(
        {
            "policy": 5 + 2 * torch.randn(B, 3),
            "goal": torch.randn(B, 2),
            "camera": torch.randint(256, (B, 3, 8, 6), dtype=torch.uint8),
            "depth": torch.randn(B, 1, 5, 5),
            "mask": torch.rand(B, 1, 4, 4) < 0.5,
        },
        batch_size=[B],
    )


def test_cnn_is_a_network(build, obs):
    network = build(groups=["camera"])
    assert isinstance(network, Network)
    assert network(obs).shape == (B, 2)
    assert network.output_layer is network.layers[-1]


def test_forward_gives_each_image_group_an_encoder_of_its_own(build, obs):
    network = build(groups=["camera", "depth"], encoder={"channels": [4], "global_pool": "avg"})
    assert set(network.encoders) == {"camera", "depth"}
    assert network.encoders["camera"][0].in_channels == 3
    assert network.encoders["depth"][0].in_channels == 1
    features = [network.encoders["camera"](obs["camera"].float() / 255), network.encoders["depth"](obs["depth"])]
    torch.testing.assert_close(network(obs), network.layers(torch.cat(features, -1)))


def test_forward_encodes_groups_by_their_own_options(build):
    network = build(
        groups=["camera", "depth"],
        encoder={"channels": [4]},
        encoders={"depth": {"channels": [2, 2], "kernel_sizes": [2]}},
    )
    assert [layer.out_channels for layer in network.encoders["camera"] if isinstance(layer, nn.Conv2d)] == [4]
    assert [layer.kernel_size for layer in network.encoders["depth"] if isinstance(layer, nn.Conv2d)] == [(2, 2)] * 2
    # By hand: 4 channels of (8 - 2) x (6 - 2), and 2 of (5 - 1 - 1)^2.
    assert network.layers[0].in_features == 4 * 6 * 4 + 2 * 3 * 3


def test_forward_puts_1d_groups_in_their_order_before_the_images(build, obs):
    network = build(groups=["goal", "camera", "policy"], encoder={"channels": [4]})
    features = (obs["goal"], obs["policy"], network.encoders["camera"](obs["camera"].float() / 255))
    torch.testing.assert_close(network(obs), network.layers(torch.cat(features, -1)))


def test_normalization_is_of_the_1d_groups_only(build, obs):
    network = build(groups=["policy", "depth", "goal"], normalize=True, encoder={"channels": [4]})
    before = network(obs)
    assert torch.equal(network(obs), before)
    network.update_normalization(obs)
    torch.testing.assert_close(network.normalizer.mean, torch.cat((obs["policy"], obs["goal"]), -1).mean(0))
    rows = network.normalizer(torch.cat((obs["policy"], obs["goal"]), -1))
    expected = network.layers(torch.cat((rows, network.encoders["depth"](obs["depth"])), -1))
    torch.testing.assert_close(network(obs), expected)


@pytest.mark.parametrize(("groups", "normalize"), [(["depth"], True), (["policy", "depth"], False)])
def test_update_normalization_without_one_changes_nothing(build, obs, groups, normalize):
    network = build(groups=groups, normalize=normalize)
    assert network.normalizer is None
    before = network(obs)
    network.update_normalization(obs)
    assert torch.equal(network(obs), before)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (torch.tensor([0, 51, 255], dtype=torch.uint8), [0.0, 0.2, 1.0]),
        (torch.tensor([0, 51, 255]), [0.0, 0.2, 1.0]),
        (torch.tensor([-3.0, 51.0, 255.0]), [-3.0, 51.0, 255.0]),
        (torch.tensor([False, True]), [0.0, 1.0]),
    ],
)
def test_forward_scales_integers_and_leaves_the_rest(build, pixels, expected):
    # A convolution of one pixel with weight 1 and nothing else hands the image on.
    network = build(groups=["depth"], encoder={"channels": []})
    assert network.encoders["depth"](torch.ones(B, 1, 5, 5)).shape == (B, 25)
    with torch.no_grad():
        network.layers[0].weight.zero_()[0, : len(pixels)] = torch.tensor([1.0, 10.0, 100.0])[: len(pixels)]
        network.layers[0].bias.zero_()
    image = torch.zeros(1, 25, dtype=pixels.dtype)
    image[0, : len(pixels)] = pixels
    outputs = network(TensorDict({"depth": image.view(1, 1, 5, 5)}, batch_size=[1]))
    assert outputs[0, 0].item() == pytest.approx(sum(a * b for a, b in zip(expected, (1, 10, 100), strict=False)))


@pytest.mark.parametrize("padding", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 1), (3, 2)])
def test_padding_of_each_kind_keeps_the_size(encode, padding, kernel, dilation):
    layers, features = encode(channels=[2], kernel_sizes=[kernel], dilations=[dilation], padding=padding)
    assert layers[0].padding_mode == padding
    assert features.shape == (B, 2 * 5 * 5)


def test_padding_none_loses_the_margin(encode):
    assert encode(channels=[2])[1].shape == (B, 2 * 3 * 3)


def test_padding_with_a_stride_divides_the_size(build):
    network = build(groups=["camera"], encoder={"channels": [1], "strides": [2], "padding": "zeros"})
    assert network.layers[0].in_features == 4 * 3


def test_norm_of_each_kind_follows_its_convolution(encode):
    layers, _ = encode(channels=[2, 2, 2], kernel_sizes=[2], norm=["batch", "none", "layer"])
    kinds = [type(layer) for layer in layers]
    assert kinds == [
        *(nn.Conv2d, BatchNorm, nn.ELU),
        *(nn.Conv2d, nn.ELU),
        *(nn.Conv2d, nn.LayerNorm, nn.ELU),
        nn.Flatten,
    ]
    # By hand: 5 - 3 * (2 - 1) pixels at the third convolution.
    assert layers[6].normalized_shape == (2, 2, 2)


def test_norm_layer_brings_each_image_to_mean_0(encode):
    layers, _ = encode(channels=[2], norm=["layer"])
    rows = layers[1](layers[0](torch.randn(B, 1, 5, 5))).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(B), atol=1e-6, rtol=0)


def test_max_pool_halves_the_size(encode):
    # By hand: 5 -> 4 -> 2 (kernel 3, stride 2, a pixel of margin) -> 1.
    layers, features = encode(channels=[2, 3], kernel_sizes=[2], max_pool=[True, False])
    assert features.shape == (B, 3)
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in layers) == 1


@pytest.mark.parametrize(("kind", "reduce"), [("max", lambda x: x.amax((2, 3))), ("avg", lambda x: x.mean((2, 3)))])
def test_global_pool_leaves_a_number_a_channel(encode, kind, reduce):
    layers, features = encode(channels=[4], global_pool=kind)
    assert features.shape == (B, 4)
    image = torch.randn(B, 1, 5, 5)
    torch.testing.assert_close(layers(image), reduce(layers[:2](image)))


def test_activation_of_the_encoder_is_its_own(build):
    network = build(groups=["depth"], activation="tanh", hidden_dims=[4], encoder={"activation": "relu"})
    assert isinstance(network.encoders["depth"][1], nn.ReLU)
    assert isinstance(network.layers[1], nn.Tanh)


def test_lists_have_an_item_a_layer_or_one_for_all(encode):
    layers, _ = encode(channels=[2, 3], kernel_sizes=[3, 2], strides=[1])
    found = [(layer.kernel_size, layer.stride) for layer in layers if isinstance(layer, nn.Conv2d)]
    assert found == [((3, 3), (1, 1)), ((2, 2), (1, 1))]


@pytest.mark.parametrize(
    ("field", "items"),
    [
        ("kernel_sizes", [3, 3, 3]),
        ("strides", [1, 1, 1]),
        ("dilations", [1, 1, 1]),
        ("norm", ["none", "none", "none"]),
        ("max_pool", [False, False, False]),
    ],
)
@pytest.mark.parametrize("at", ["encoder", "encoders.depth"])
def test_lists_of_another_length_are_refused(build, field, items, at):
    encoder = {"channels": [2, 3], field: items}
    options = {"encoder": encoder} if at == "encoder" else {"encoders": {"depth": encoder}}
    with pytest.raises(ConfigError) as caught:
        build(groups=["depth"], **options)
    message = f"{at}.{field}: {items} has 3 items; give one, or one for each of the 2 layers in channels"
    assert str(caught.value) == message


def test_gradients_reach_every_parameter(build, obs):
    network = build(groups=["policy", "camera", "depth"], encoder={"channels": [2, 2], "norm": ["layer"]})
    network(obs).square().sum().backward()
    assert all(parameter.grad.any() for parameter in network.parameters())


def test_storage_keeps_the_type_of_images(context, obs):
    config = default_registry().config_class("storage", "rollout")()
    storage = context.build(StorageComponent("rollout", config), "storage")
    rows = obs[:2]
    rows["table"] = torch.zeros(2, 4, 4)
    storage.write_obs(rows)
    stored = storage.observations()
    assert stored["camera"].dtype == torch.uint8
    assert stored["mask"].dtype == torch.bool
    assert torch.equal(stored["camera"][:2], obs["camera"][:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"groups": ["policy", "goal"]},
            "groups: there is no image [C, H, W] in 'goal', 'policy'; use the network 'mlp'",
        ),
        (
            {"groups": ["camera", "table"]},
            "groups: group 'table' has shape [4, 4]; this network reads images [C, H, W] and 1-D groups",
        ),
        (
            {"groups": ["camra"]},
            "groups: the env has no observation group 'camra'; did you mean 'camera'? "
            "(it has 'camera', 'depth', 'goal', 'mask', 'policy', 'table')",
        ),
        ({"groups": ["camera", "camera"]}, "groups: names the observation group 'camera' twice"),
        (
            {"groups": []},
            "groups: names no observation group; the env has 'camera', 'depth', 'goal', 'mask', 'policy', 'table'",
        ),
        (
            {"groups": ["camera", "policy"], "encoders": {"policy": {}}},
            "encoders.policy: is no image of this network (it has 'camera')",
        ),
        (
            {"groups": ["camera", "depth"], "encoders": {"camra": {}}},
            "encoders.camra: is no image of this network; did you mean 'camera'? (it has 'camera', 'depth')",
        ),
        (
            {"groups": ["depth"], "encoder": {"kernel_sizes": [6]}},
            "encoder: the image 'depth' of shape [1, 5, 5] is too small for these convolutions (Calculated padded "
            "input size per channel: (5 x 5). Kernel size: (6 x 6). Kernel size can't be greater than actual input "
            "size)",
        ),
        (
            {"groups": ["depth"], "encoders": {"depth": {"channels": [1, 1, 1]}}},
            "encoders.depth: the image 'depth' of shape [1, 5, 5] is too small for these convolutions (Calculated "
            "padded input size per channel: (1 x 1). Kernel size: (3 x 3). Kernel size can't be greater than actual "
            "input size)",
        ),
    ],
)
def test_groups_and_encoders_that_do_not_fit_are_refused(build, options, message):
    with pytest.raises(ConfigError) as caught:
        build(**options)
    assert str(caught.value) == f"policy.actor.network.{message}"


def test_batch_norm_stands_still_while_learning_and_moves_between_updates(build, obs):
    network = build(groups=["depth"], encoder={"channels": [2], "kernel_sizes": [2], "norm": ["batch"]}).train()
    convolution, norm = network.encoders["depth"][:2]
    before = network(obs)
    torch.testing.assert_close(before[:1], network(obs[:1]))  # a row does not depend on those beside it
    assert norm.running_mean.tolist() == [0.0, 0.0]
    network.update_normalization(obs)
    # By hand: a tenth of the way from 0 and 1 to the mean and the variance of each channel.
    features = convolution(obs["depth"]).detach().transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean, 0.1 * features.mean(1))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * features.var(1))
    assert not torch.equal(before, network(obs))
    assert network(obs).requires_grad


@pytest.mark.parametrize("group", ["front.depth", "keys"])
def test_group_that_torch_takes_for_no_name_is_refused(context, group):
    spec = attrs.evolve(context.spec, observations={group: TensorSpec((1, 5, 5))})
    config = structure({"groups": [group]}, default_registry().config_class("network", "cnn"), default_registry())
    with pytest.raises(ConfigError) as caught:
        attrs.evolve(context, spec=spec).build(NetworkComponent("cnn", config), "network", num_outputs=2)
    assert str(caught.value) == f"network.groups: '{group}' cannot name an encoder in torch; rename the group"


def test_image_with_its_channels_last_is_refused(context):
    spec = attrs.evolve(context.spec, observations={"camera": TensorSpec((16, 16, 3), "uint8")})
    config = structure({"groups": ["camera"]}, default_registry().config_class("network", "cnn"), default_registry())
    with pytest.raises(ConfigError) as caught:
        attrs.evolve(context, spec=spec).build(NetworkComponent("cnn", config), "network", num_outputs=2)
    assert str(caught.value) == (
        "network.groups: the image 'camera' of shape [16, 16, 3] seems to have its channels last; "
        "this network reads [C, H, W]"
    )
