"""Actor and critic: which parameters are whose, shared encoders, recurrent beside feed-forward."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rslcore.config import PolicyComponent, structure
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.modules import ModuleTable
from rslcore.protocols import ActorCriticPolicy
from rslcore.recurrence import zero_states
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec

GROUPS = {
    "policy": TensorSpec((3,)),
    "camera": TensorSpec((1, 6, 6), "uint8"),
    "depth": TensorSpec((1, 6, 6)),
}
B = 5

MLP = {"name": "mlp", "hidden_dims": [4]}
LSTM = {"name": "lstm", "hidden_dims": [4], "rnn_hidden_dim": 4}
CNN = {"name": "cnn", "groups": ["camera", "policy"], "hidden_dims": [4], "encoder": {"channels": [2]}}


@pytest.fixture
def build(small_config):
    def make(actor, critic, distribution="gaussian", **options):
        torch.manual_seed(0)
        options["actor"] = {"network": actor, "distribution": {"name": distribution}}
        options["critic"] = {"network": critic}
        config = structure(options, default_registry().config_class("policy", "actor_critic"), default_registry())
        spec = EnvSpec(2, GROUPS, ActionSpec(2))
        context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)
        return context.build(PolicyComponent("actor_critic", config), "policy")

    return make


@pytest.fixture
def obs():
    torch.manual_seed(1)
    groups = {
        "policy": torch.randn(B, 3),
        "camera": torch.randint(256, (B, 1, 6, 6), dtype=torch.uint8),
        "depth": torch.randn(B, 1, 6, 6),
    }
    return TensorDict(groups, batch_size=[B])


@pytest.mark.parametrize(
    ("actor", "critic", "share"), [(MLP, MLP, False), (LSTM, MLP, False), (CNN, CNN, False), (CNN, CNN, True)]
)
def test_parameter_groups_hold_each_parameter_once(build, actor, critic, share):
    policy = build(actor, critic, share_encoders=share)
    assert isinstance(policy, ActorCriticPolicy)
    groups = policy.parameter_groups()
    assert set(groups) == {"actor", "critic"}
    grouped = [id(parameter) for group in groups.values() for parameter in group]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(parameter) for parameter in policy.parameters()}
    actors = {id(parameter) for parameter in groups["actor"]}
    assert {id(parameter) for parameter in policy.actor.parameters()} <= actors
    assert id(policy.distribution.std_parameter) in actors


def test_share_encoders_lets_the_critic_use_the_actors(build, obs):
    policy = build(CNN, CNN, share_encoders=True)
    assert policy.critic.encoders is policy.actor.encoders
    features = torch.cat((obs["policy"], policy.actor.encoders["camera"](obs["camera"].float() / 255)), -1)
    torch.testing.assert_close(policy.values(obs, {})[0], policy.critic.layers(features).squeeze(-1))
    # The fully connected layers stay apart.
    assert not {*policy.actor.layers.parameters()} & {*policy.critic.layers.parameters()}


def test_share_encoders_off_keeps_them_apart(build):
    policy = build(CNN, CNN)
    assert not {*policy.actor.encoders.parameters()} & {*policy.critic.encoders.parameters()}


def test_share_encoders_both_losses_train_them(build, obs):
    policy = build(CNN, CNN, share_encoders=True)
    parameters = list(policy.actor.encoders.parameters())
    of_actor = torch.autograd.grad(policy.actor_params(obs, {})[0]["mean"].square().sum(), parameters)
    of_critic = torch.autograd.grad(policy.values(obs, {})[0].square().sum(), parameters)
    (policy.actor_params(obs, {})[0]["mean"].square().sum() + policy.values(obs, {})[0].square().sum()).backward()
    for parameter, one, other in zip(parameters, of_actor, of_critic, strict=True):
        assert one.any()
        assert other.any()
        torch.testing.assert_close(parameter.grad, one + other)


def test_share_encoders_state_round_trip(build, obs):
    policy, other = (build(CNN, CNN, share_encoders=True) for _ in range(2))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter))
    tables = [ModuleTable(torch.device("cpu")) for _ in range(2)]
    for table, module in zip(tables, (policy, other), strict=True):
        table.register("policy", module, groups=module.parameter_groups())
    tables[1].load_state_dict(tables[0].state_dict())
    assert other.critic.encoders is other.actor.encoders
    assert torch.equal(other.values(obs, {})[0], policy.values(obs, {})[0])
    assert torch.equal(other.actor_params(obs, {})[0]["mean"], policy.actor_params(obs, {})[0]["mean"])


@pytest.mark.parametrize(
    ("actor", "critic", "message"),
    [
        (MLP, CNN, "the network of the actor has no encoders to share"),
        (CNN, MLP, "the network of the critic has no encoders to share"),
        (
            CNN,
            {**CNN, "groups": ["camera", "depth"]},
            "the actor encodes 'camera' and the critic 'camera', 'depth'; give both the same ones",
        ),
        (
            CNN,
            {**CNN, "encoder": {"channels": [3]}},
            "the encoders of 'camera' differ between actor and critic; configure them alike",
        ),
        (
            CNN,
            {**CNN, "encoder": {"channels": [2], "activation": "relu"}},
            "the encoders of 'camera' differ between actor and critic; configure them alike",
        ),
    ],
)
def test_share_encoders_of_networks_that_do_not_fit_is_refused(build, actor, critic, message):
    with pytest.raises(ConfigError) as caught:
        build(actor, critic, share_encoders=True)
    assert str(caught.value) == f"policy.share_encoders: {message}"


@pytest.mark.parametrize(
    ("actor", "critic", "parts"), [(LSTM, MLP, (2, 0)), (MLP, LSTM, (0, 2)), (LSTM, {**LSTM, "name": "gru"}, (2, 1))]
)
def test_networks_recurrent_or_not_go_together(build, obs, actor, critic, parts):
    policy = build(actor, critic)
    specs = policy.state_specs()
    assert {name: len(inner) for name, inner in specs.items()} == dict(zip(("actor", "critic"), parts, strict=True))
    states = zero_states(specs, B, torch.device("cpu"))
    params, actor_state = policy.actor_params(obs, states["actor"])
    values, critic_state = policy.values(obs, states["critic"])
    assert params["mean"].shape == (B, 2)
    assert values.shape == (B,)
    assert (set(actor_state), set(critic_state)) == (set(specs["actor"]), set(specs["critic"]))
    # A second step differs where the network remembers, and only there.
    assert (parts[0] > 0) != torch.equal(policy.actor_params(obs, actor_state)[0]["mean"], params["mean"])
    assert (parts[1] > 0) != torch.equal(policy.values(obs, critic_state)[0], values)


def test_act_inference_is_deterministic_and_gives_the_actors_state_back(build, obs):
    policy = build(LSTM, LSTM)
    states = zero_states(policy.state_specs(), B, torch.device("cpu"))
    actions, after = policy.act_inference(obs, states)
    params, state = policy.actor_params(obs, states["actor"])
    assert torch.equal(actions, params["mean"])
    assert set(after) == {"actor"}
    assert all(torch.equal(after["actor"][name], part) for name, part in state.items())


def test_update_normalization_reaches_both_networks(build, obs):
    policy = build({**LSTM, "normalize": True}, {**CNN, "normalize": True})
    policy.update_normalization(obs)
    for network in (policy.actor, policy.critic):
        assert network.normalizer.count == B
        torch.testing.assert_close(network.normalizer.mean, obs["policy"].mean(0))


def test_shared_encoders_are_modules_of_both(build):
    policy = build(CNN, CNN, share_encoders=True)
    policy.train(False)
    assert not any(module.training for module in policy.modules())
    assert isinstance(policy.critic.encoders, nn.ModuleDict)
