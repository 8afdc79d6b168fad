"""A policy behind the methods and attributes of rsl_rl's models."""

from __future__ import annotations

import copy

import exporting
import pytest
import torch
from exporting import CHOICES, CNN, GRU, HINGES, IMAGES, LSTM, MLP, TWO_GROUPS, VECTORS
from tensordict import TensorDict
from torch import nn

from rslcore.evaluation import InferencePolicy
from rslcore_rsl_rl.model import InferenceModel


@pytest.fixture
def make():
    """A model, and the policy that it is of."""

    def build(network=MLP, observations=VECTORS, student=False, **options):
        algorithm, context = (
            exporting.build_student(network, observations)
            if student
            else exporting.build(network, observations=observations, **options)
        )
        return InferenceModel(algorithm.policy, context), InferencePolicy(algorithm, context)

    return build


def observe(num_rows, observations=VECTORS):
    rows = {}
    for name, spec in observations.items():
        dtype = getattr(torch, spec.dtype)
        is_float = dtype.is_floating_point
        rows[name] = (
            torch.randn(num_rows, *spec.shape) if is_float else torch.randint(0, 256, (num_rows, *spec.shape)).to(dtype)
        )
    return TensorDict(rows, batch_size=[num_rows])


@pytest.mark.parametrize("student", [False, True])
@pytest.mark.parametrize(
    ("network", "observations"), [(TWO_GROUPS, VECTORS), (LSTM, VECTORS), (GRU, VECTORS), (CNN, IMAGES)]
)
def test_model_acts_as_the_policy_does(make, network, observations, student):
    model, policy = make(network, observations, student)
    for ended in (None, torch.tensor([0, 1, 0]), torch.tensor([1.0, 0.0, 1.0]), torch.tensor([True, True, True]), None):
        obs = observe(3, observations)
        torch.testing.assert_close(model(obs), policy(obs))
        if ended is not None:
            model.reset(ended)
            policy.reset(ended)
    model.reset()
    policy.reset()
    torch.testing.assert_close(model(obs.to_dict()), policy(obs))


@pytest.mark.parametrize("network", [TWO_GROUPS, LSTM])
def test_model_takes_a_single_row(make, network):
    # As the play script of MuJoCo Playground gives it.
    model, policy = make(network)
    for _ in range(2):
        obs = observe(1)
        actions = model({name: rows[0] for name, rows in obs.items()})
        torch.testing.assert_close(actions, policy(obs)[0])


def test_model_takes_groups_concatenated_in_its_own_order(make):
    # As legged_gym gives them.
    model, policy = make(TWO_GROUPS)
    obs = observe(3)
    rows = torch.cat([obs["privileged"], obs["policy"]], dim=-1)
    assert (model.obs_groups, model.obs_dim) == (["privileged", "policy"], 5)
    torch.testing.assert_close(model(rows), policy(obs))
    torch.testing.assert_close(model(rows[0]), policy(obs)[0])


@pytest.mark.parametrize(
    ("network", "observations", "obs", "message"),
    [
        (
            TWO_GROUPS,
            VECTORS,
            {"policy": torch.zeros(1, 3)},
            "^the policy needs the observation group 'privileged', it was given 'policy'$",
        ),
        (
            MLP,
            VECTORS,
            {"policy": torch.zeros(2, 4)},
            r"^observation group 'policy' should be \[N, 3\], it is \[2, 4\]$",
        ),
        (MLP, VECTORS, torch.zeros(2, 5), r"^observations should be \[N, 3\], they are \[2, 5\]$"),
        (
            CNN,
            IMAGES,
            torch.zeros(2, 3),
            "^the policy sees images; give it a mapping with the groups 'camera', 'depth', 'policy'$",
        ),
    ],
)
def test_model_refuses_observations_that_do_not_fit(make, network, observations, obs, message):
    model, _ = make(network, observations)
    with pytest.raises(ValueError, match=message):
        model(obs)


@pytest.mark.parametrize(("network", "num_parts", "shape"), [(LSTM, 2, (2, 3, 6)), (GRU, 1, (1, 3, 5))])
def test_hidden_state_can_be_read_and_set(make, network, num_parts, shape):
    model, _ = make(network)
    assert model.is_recurrent
    assert model.get_hidden_state() is None
    assert isinstance(model.rnn.rnn, {"lstm": nn.LSTM, "gru": nn.GRU}[network["name"]])
    first, second = observe(3), observe(3)
    model(first)
    state = model.rnn.hidden_state
    assert len(state if num_parts > 1 else [state]) == num_parts
    assert (state[0] if num_parts > 1 else state).shape == shape
    expected = model(second)
    model(first)
    for put in (lambda: setattr(model.rnn, "hidden_state", state), lambda: model.reset(hidden_state=state)):
        put()
        torch.testing.assert_close(model(second), expected)
    model.reset(torch.tensor([0, 1, 0]))
    after = model.get_hidden_state()
    parts = after if num_parts > 1 else (after,)
    assert all((part[:, 1] == 0.0).all() and (part[:, [0, 2]] != 0.0).all() for part in parts)
    model(observe(2))  # another number of rows begins anew
    assert (model.get_hidden_state()[0] if num_parts > 1 else model.get_hidden_state()).shape[1] == 2
    model.reset()
    assert model.get_hidden_state() is None


def test_model_without_memory(make):
    model, _ = make()
    assert not model.is_recurrent
    assert model.get_hidden_state() is None
    assert not hasattr(model, "rnn")
    model.reset(torch.tensor([1]))


@pytest.mark.parametrize(
    "distribution",
    [
        {"name": "gaussian", "init_std": 0.3},
        {"name": "heteroscedastic_gaussian"},
        {"name": "beta", "range": [-2.0, 1.0]},
    ],
)
def test_stochastic_output_is_drawn_and_described(make, distribution):
    model, policy = make(distribution=distribution)
    obs = observe(5)
    torch.manual_seed(1)
    drawn = model(obs, stochastic_output=True)
    live = policy.algorithm.policy
    params, _ = live.actor_params(obs, {})
    torch.manual_seed(1)
    assert torch.equal(drawn, live.distribution.sample(params))
    assert torch.equal(model.output_mean, policy(obs))
    assert model.output_std.shape == (5, 2)
    torch.testing.assert_close(model.output_std.mean(), live.distribution.metrics(params)["mean_std"])
    assert torch.equal(model.output_entropy, live.distribution.entropy(params))


def test_standard_deviation_is_there_before_anything_was_drawn(make):
    model, _ = make(distribution={"name": "gaussian", "init_std": 0.3})
    torch.testing.assert_close(model.output_std.mean(), torch.tensor(0.3))


def test_choices_have_no_standard_deviation(make):
    model, _ = make(distribution={"name": "categorical"}, actions=CHOICES)
    assert model(observe(2), stochastic_output=True).dtype == torch.int64
    with pytest.raises(ValueError, match="^actions with the parameters 'log_probs' have no standard deviation$"):
        _ = model.output_std


def test_model_shares_the_parameters_of_the_live_policy(make):
    model, policy = make(TWO_GROUPS)
    live = policy.algorithm.policy
    shared = {id(parameter) for parameter in live.parameters()}
    parameters = list(model.parameters())
    assert {id(parameter) for parameter in parameters} < shared
    assert len(parameters) == len(list(live.actor.parameters())) + 1  # and the standard deviation
    other = copy.deepcopy(live.state_dict())
    for tensor in other.values():
        if isinstance(tensor, torch.Tensor):
            tensor.mul_(1.5)
    live.load_state_dict(other)
    obs = observe(2)
    assert torch.equal(model(obs), policy(obs))
    assert model.to("cpu") is model
    assert model.to(None) is model


def test_layers_are_torchs_own_and_share_their_weights(make):
    # Scripts for rsl_rl 1.x copy them, and script them.
    model, policy = make()
    layers = copy.deepcopy(model.mlp)
    with pytest.warns(DeprecationWarning, match="torch.jit.script"):
        scripted = torch.jit.script(layers)
    obs = observe(3)
    torch.testing.assert_close(scripted(model.obs_normalizer(obs["policy"])), policy(obs))
    assert model.mlp[0].weight is policy.algorithm.policy.actor.layers[0].weight
    assert [type(layer) for layer in model.mlp] == [nn.Linear, nn.ELU, nn.Linear]


def test_normalizer_that_is_none(make):
    model, _ = make(GRU)
    assert isinstance(model.obs_normalizer, nn.Identity)
    assert HINGES.num_actions == model.distribution.num_inputs
