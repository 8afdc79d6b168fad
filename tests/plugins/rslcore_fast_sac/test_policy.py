"""The policy: its critics, its targets and the range of its actions."""

from __future__ import annotations

import math

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore_fast_sac.critics import CriticEnsemble

BOUNDS = ActionSpec(2, low=(-2.0, 0.0), high=(2.0, 1.0))


@pytest.fixture
def make_policy(small_sac):
    def make(*overrides, actions=BOUNDS):
        config = small_sac(*overrides)
        spec = EnvSpec(4, {"policy": TensorSpec((3,))}, actions)
        context = Context(default_registry(), config, torch.device("cpu"), 1, 8, spec=spec)
        return context.build(config.policy, "policy")

    return make


def observations(num_rows=5):
    return TensorDict({"policy": torch.randn(num_rows, 3)}, batch_size=[num_rows])


@pytest.mark.parametrize("layer_norm", [False, True])
def test_ensemble_agrees_with_single_networks(layer_norm):
    ensemble = CriticEnsemble(3, 4, (8, 6), "elu", layer_norm)
    rows = torch.randn(5, 4)
    for index, values in enumerate(ensemble(rows)):
        features = rows
        for layer, (weight, bias) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
            features = nn.functional.linear(features, weight[index].T, bias[index, 0])
            if layer < 2:
                features = nn.functional.layer_norm(features, features.shape[1:]) if layer_norm else features
                features = nn.functional.elu(features)
        torch.testing.assert_close(values, features[:, 0])


def test_members_of_the_ensemble_differ_and_begin_as_linear_layers_do():
    ensemble = CriticEnsemble(2, 100, (100,), "relu", False)
    first, second = ensemble(torch.randn(5, 100))
    assert not torch.equal(first, second)
    assert 0.098 < ensemble.weights[0].abs().max() <= 0.1


def test_frozen_critics_give_gradients_to_actions_only(make_policy):
    policy = make_policy()
    actions = torch.zeros(5, 2, requires_grad=True)
    policy.q_values(policy.features(observations()), actions, frozen=True).sum().backward()
    assert actions.grad.abs().sum() > 0.0
    assert all(parameter.grad is None for parameter in policy.critics.parameters())


def test_targets_begin_as_the_critics_and_follow_them(make_policy):
    policy = make_policy()
    before = [parameter.clone() for parameter in policy.targets.parameters()]
    assert all(map(torch.equal, before, policy.critics.parameters()))
    with torch.no_grad():
        for parameter in policy.critics.parameters():
            parameter.add_(1.0)
    policy.update_targets(0.25)
    for old, new in zip(before, policy.targets.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)
        assert not new.requires_grad


def test_actions_are_stretched_to_the_bounds(make_policy):
    policy = make_policy()
    unit = torch.tensor([[-1.0, -1.0], [0.0, 0.5], [1.0, 1.0]])
    assert policy.to_env(unit).tolist() == [[-2.0, 0.0], [0.0, 0.75], [2.0, 1.0]]


@pytest.mark.parametrize("bounds", [{}, {"low": (-math.inf,), "high": (math.inf,)}])
def test_actions_without_bounds_are_in_minus_one_to_one(make_policy, bounds):
    policy = make_policy(actions=ActionSpec(1, **bounds))
    assert policy.to_env(torch.tensor([[-1.0], [1.0]])).tolist() == [[-1.0], [1.0]]


def test_act_inference_is_deterministic_and_the_mode_before_the_tanh(make_policy):
    policy, obs = make_policy(), observations()
    (actions, _), (again, _) = policy.act_inference(obs, {}), policy.act_inference(obs, {})
    assert torch.equal(actions, again)
    torch.testing.assert_close(actions, policy.to_env(torch.tanh(policy.actor(obs)[:, :2])))


def test_normalizers_of_actor_and_critics_move_only_when_told(make_policy):
    policy, obs = make_policy(), observations()
    before = policy.features(obs)
    policy.sample(obs)
    assert torch.equal(policy.features(obs), before)
    policy.update_normalization(obs)
    for normalizer in (policy.normalizer, policy.actor.normalizer):
        torch.testing.assert_close(normalizer.mean, obs["policy"].mean(0))


def test_discrete_actions_are_refused(make_policy):
    with pytest.raises(
        ConfigError,
        match=r"^policy\.name: 'soft_actor_critic' is for continuous actions; the env takes 1 discrete with 2 choices; "
        r"use 'actor_critic' and ppo$",
    ):
        make_policy(actions=ActionSpec(1, (2,)))


def test_recurrent_actor_is_refused(make_policy):
    with pytest.raises(
        ConfigError,
        match=r"^policy\.actor\.network\.name: 'lstm' is recurrent; a replay hands out no sequences; "
        r"use 'mlp' or 'cnn'$",
    ):
        make_policy("policy.actor.network={name: lstm}")


def test_unknown_group_of_the_critics_is_refused(make_policy):
    with pytest.raises(ConfigError, match=r"^policy\.critic\.groups: the env has no observation group 'privileged'"):
        make_policy("policy.critic.groups=[privileged]")
